// Small raster pictures for the examples, written as PNG through libgd.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <weft/tensor.hpp>

struct gdImageStruct;

namespace examples {

class Picture {
 public:
  Picture(int width, int height);  // white

  // `image` is u8 [h, w, 3] or [1, h, w, 3]; each of its pixels becomes a square of `zoom` pixels.
  void draw(const weft::Tensor& image, int left, int top, int zoom);
  void frame(int left, int top, int width, int height, int rgb);
  void write(const std::string& text, int left, int top, int rgb = 0x222222);
  static int text_width(const std::string& text);

  void save_png(const std::filesystem::path& file) const;  // throws weft::FileError

 private:
  struct Destroy {
    void operator()(gdImageStruct* image) const;
  };
  std::unique_ptr<gdImageStruct, Destroy> image_;
};

}  // namespace examples
