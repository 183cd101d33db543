// What padding does to an image: writes a picture of it before and after, for each mode.
#include <filesystem>
#include <weft/weft.hpp>

#include "support/hand_signs.hpp"
#include "support/picture.hpp"

using namespace weft;

int main(int argc, char** argv) try {
  const std::filesystem::path out = argc > 1 ? argv[1] : ".";
  require_writable_folder(out.string());

  const examples::HandSigns signs = examples::draw_hand_signs(6, 7);
  const Tensor image = take_rows(Tensor::of({6, 64, 64, 3}, signs.pixels), std::vector<std::int64_t>{0});

  constexpr std::int64_t margin = 16;
  constexpr int zoom = 3, gap = 12, caption = 20;
  constexpr int before = 64 * zoom, after = (64 + 2 * static_cast<int>(margin)) * zoom;
  examples::Picture picture(before + 3 * after + 5 * gap, after + caption + 2 * gap);
  picture.write("x: 64 x 64", gap, gap);
  picture.draw(image, gap, gap + caption + (after - before) / 2, zoom);

  int left = before + 2 * gap;
  for (const PadMode mode : {PadMode::constant, PadMode::reflect, PadMode::replicate}) {
    const Ints around{0, margin, margin, 0};  // [n, h, w, c]: height and width
    const Var padded = pad(image.to(DType::f32), {.before = around, .after = around, .mode = mode});
    picture.write(fmt::format("pad {}: {}", names_of(mode)[static_cast<std::size_t>(mode)], padded.shape()),
                  left, gap);
    picture.draw(padded.value().to(DType::u8), left, gap + caption, zoom);
    picture.frame(left, gap + caption, after, after, 0x999999);
    left += after + gap;
  }
  picture.save_png(out / "padding.png");
  fmt::print("wrote {}\n", (out / "padding.png").string());
} catch (const std::exception& error) {
  fmt::print(stderr, "padding: {}\n", error.what());
  return 1;
}
