#include "picture.hpp"

#include <fmt/format.h>
#include <gd.h>
#include <gdfonts.h>

#include <cstdio>
#include <filesystem>

namespace examples {

void Picture::Destroy::operator()(gdImageStruct* image) const { gdImageDestroy(image); }

Picture::Picture(int width, int height) : image_(gdImageCreateTrueColor(width, height)) {
  if (!image_) throw weft::Error(fmt::format("no memory for a picture of {} x {} pixels", width, height));
  gdImageFilledRectangle(image_.get(), 0, 0, width - 1, height - 1, 0xffffff);
}

void Picture::draw(const weft::Tensor& image, int left, int top, int zoom) {
  const int width = static_cast<int>(image.extent(-2)), height = static_cast<int>(image.extent(-3));
  const auto pixels = image.values<std::uint8_t>();
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const std::uint8_t* rgb = pixels.data() + 3 * (y * width + x);
      const int x0 = left + x * zoom, y0 = top + y * zoom;
      gdImageFilledRectangle(image_.get(), x0, y0, x0 + zoom - 1, y0 + zoom - 1,
                             gdTrueColor(rgb[0], rgb[1], rgb[2]));
    }
  }
}

void Picture::frame(int left, int top, int width, int height, int rgb) {
  gdImageRectangle(image_.get(), left, top, left + width - 1, top + height - 1, rgb);
}

void Picture::write(const std::string& text, int left, int top, int rgb) {
  std::string bytes = text;
  gdImageString(image_.get(), gdFontGetSmall(), left, top, reinterpret_cast<unsigned char*>(bytes.data()),
                rgb);
}

int Picture::text_width(const std::string& text) {
  return gdFontGetSmall()->w * static_cast<int>(text.size());
}

void Picture::save_png(const std::filesystem::path& file) const {
  std::FILE* out = std::fopen(file.c_str(), "wb");
  if (!out) throw weft::FileError(fmt::format("{}: cannot be written", file.string()));
  gdImagePng(image_.get(), out);
  const bool written = std::ferror(out) == 0;
  if (std::fclose(out) != 0 || !written)
    throw weft::FileError(fmt::format("{}: writing failed", file.string()));
}

}  // namespace examples
