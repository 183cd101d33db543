#include "signs_data.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <weft/data.hpp>
#include <weft/ops.hpp>

#include "hand_signs.hpp"
#include "picture.hpp"

namespace examples {

using namespace weft;

SignsData load_signs(const std::filesystem::path& folder, const std::filesystem::path& drawn,
                     std::uint64_t seed) {
  if (!folder.empty()) return read_signs(folder.string());
  const auto tensors = [](int count, std::uint64_t stream) {
    const HandSigns signs = draw_hand_signs(count, stream);
    return std::pair(Tensor::of({count, 64, 64, 3}, signs.pixels), Tensor::of({count}, signs.labels));
  };
  SignsData data;
  std::tie(data.train_x, data.train_y) = tensors(1080, 2 * seed);
  std::tie(data.test_x, data.test_y) = tensors(120, 2 * seed + 1);
  data.classes = Tensor::of<std::int64_t>({6}, {0, 1, 2, 3, 4, 5});
  std::filesystem::create_directories(drawn);
  write_signs(drawn.string(), data);
  return read_signs(drawn.string());
}

Tensor centred(const Tensor& images) { return (images_to_f32(images) - 0.5).value(); }

std::vector<std::int64_t> clean_rows(const SignsData& data) {
  const std::int64_t size = data.test_x.elements() / std::max<std::int64_t>(data.test_x.extent(0), 1);
  const std::int64_t most = 5 * 5 * size;  // sum of squares of a near copy
  const std::uint8_t* train = data.train_x.values<std::uint8_t>().data();
  const std::uint8_t* test = data.test_x.values<std::uint8_t>().data();
  std::vector<std::int64_t> clean;
  for (std::int64_t row = 0; row < data.test_x.extent(0); ++row) {
    bool is_copy = false;
    for (std::int64_t other = 0; other < data.train_x.extent(0) && !is_copy; ++other) {
      std::int64_t squares = 0;
      for (std::int64_t begin = 0; begin < size && squares <= most;
           begin += 1024) {  // most pairs differ at once
        for (std::int64_t i = begin; i < std::min(begin + 1024, size); ++i) {
          const int difference = train[other * size + i] - test[row * size + i];
          squares += difference * difference;
        }
      }
      is_copy = squares <= most;
    }
    if (!is_copy) clean.push_back(row);
  }
  return clean;
}

std::string accuracy_text(const SignsData& data, const Tensor& logits) {
  const std::string all = fmt::format("{:.3f}", accuracy(logits, data.test_y));
  const std::vector<std::int64_t> clean = clean_rows(data);
  if (static_cast<std::int64_t>(clean.size()) == data.test_y.elements()) return all;
  const double of_clean = accuracy(take_rows(logits, clean), take_rows(data.test_y, clean));
  return fmt::format("{} ({} clean: {:.3f})", all, clean.size(), of_clean);
}

void save_mistakes(const SignsData& data, const Tensor& predicted, const std::filesystem::path& file) {
  const auto found = predicted.values<std::int64_t>(), labels = data.test_y.values<std::int64_t>();
  std::vector<std::int64_t> wrong;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (found[i] != labels[i]) wrong.push_back(static_cast<std::int64_t>(i));
  }
  constexpr int tile = 128, cell = tile + 12, caption = 18, title = 26, columns = 6;
  const int rows = std::max<int>(1, (static_cast<int>(wrong.size()) + columns - 1) / columns);
  Picture picture(columns * cell + 12, title + rows * (cell + caption));
  picture.write(fmt::format("{} of {} test images classified wrongly", wrong.size(), labels.size()), 12, 7);
  for (std::size_t i = 0; i < wrong.size(); ++i) {
    const int left = 12 + static_cast<int>(i % columns) * cell;
    const int top = title + static_cast<int>(i / columns) * (cell + caption);
    picture.draw(take_rows(data.test_x, std::span(&wrong[i], 1)), left, top, tile / 64);
    const auto row = static_cast<std::size_t>(wrong[i]);
    picture.write(fmt::format("is {}, taken for {}", labels[row], found[row]), left, top + tile + 2,
                  0xaa2211);
  }
  picture.save_png(file);
}

}  // namespace examples
