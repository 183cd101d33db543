// Data on its way to a model: batches, images, labels.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "weft/random.hpp"
#include "weft/tensor.hpp"

namespace weft {

// The rows 0 .. count - 1 in shuffled order, cut into batches; the last one may be smaller. The order is that
// of NumpyRandom(seed).permutation(count). Throws Error for a negative count and a batch size below 1.
std::vector<std::vector<std::int64_t>> random_mini_batches(std::int64_t count, std::int64_t batch_size,
                                                           std::uint32_t seed);
// The same in the order 0, 1, 2, ...
std::vector<std::vector<std::int64_t>> mini_batches(std::int64_t count, std::int64_t batch_size);

// [rows.size(), x's other extents]: x's rows in that order, of any dtype. Throws Error for a row outside.
Tensor take_rows(const Tensor& x, std::span<const std::int64_t> rows);

// Grey levels 0 .. 255 as numbers in [0, 1]. Throws DTypeError where images are not u8.
Tensor images_to_f32(const Tensor& images);

// Mean and deviation (of all, not of a sample) of every channel, the last axis, over the tensors that were
// added; merged as Chan, Golub and LeVeque (1979) do.
class ChannelStatistics {
 public:
  // u8, f32 or f64 [..., channels]. Throws ShapeError for another number of channels than before.
  void add(const Tensor& x);
  std::int64_t count() const { return count_; }  // elements of each channel
  const std::vector<double>& mean() const { return mean_; }
  std::vector<double> deviation() const;

 private:
  std::int64_t count_ = 0;
  std::vector<double> mean_, squares_;  // squares: the sum of (x - mean)^2
};
// (x - mean) / deviation, channel by channel; a channel without deviation becomes 0. u8 becomes f32.
Tensor normalize(const Tensor& x, const ChannelStatistics& statistics);

// Throws unless labels are [count] integers in 0 .. classes - 1.
void require_labels(const Tensor& labels, std::int64_t count, std::int64_t classes);

// The share of rows of `logits` [n, classes] whose largest is at `labels` [n]; NaN without rows.
double accuracy(const Tensor& logits, const Tensor& labels);

// How far an image may be changed; each is drawn evenly from both sides.
struct AugmentOptions {
  double shift = 0;       // of height and width, as a share of each
  double rotation = 0;    // degrees
  double scale = 0;       // by a factor of 1 - scale .. 1 + scale, below 1
  double brightness = 0;  // added
  double contrast = 0;    // times 1 - contrast .. 1 + contrast, about the image's mean
  bool flip = false;      // left and right are exchanged in half of the images
  // The side of a square of zeros, as a share of height and width, whose centre may be any pixel (DeVries and
  // Taylor, Improved regularization of convolutional neural networks with cutout, 2017); below 1.
  double cut_out = 0;
};
// A changed copy of f32 or f64 `images` [n, h, w, c]: turned, scaled and shifted about the centre, read
// between pixels bilinearly, and beyond the border as at the border. Takes one number from `random`, the seed
// of all images' own streams: any number of threads gives the same.
Tensor augment(const Tensor& images, const AugmentOptions& options, Random& random);

}  // namespace weft
