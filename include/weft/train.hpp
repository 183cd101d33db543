// What a training program shows and leaves behind: a progress bar, the history of its epochs, an output
// folder.
#pragma once

#include <cstdint>
#include <cstdio>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace weft {

// ---- progress ---------------------------------------------------------------------------------------------

struct ProgressOptions {
  std::string unit = "images";
  double line_interval = 10;          // seconds between lines where the output is no terminal
  std::FILE* output = stderr;         // not closed
  std::optional<bool> terminal = {};  // none: asks the output
};
struct ProgressValues {
  std::optional<double> loss = {}, accuracy = {};  // shown where given; accuracy in [0, 1]
};

// Rate, loss, accuracy and time left in one line, redrawn on a terminal, printed every so often elsewhere:
//   epoch 3/20 [==>               ]  15%  1843 images/s  loss 1.2034  accuracy 0.534  0:10 left
class ProgressBar {
 public:
  explicit ProgressBar(std::int64_t total, ProgressOptions options = {});
  ~ProgressBar();  // ends the line
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void set_label(std::string label) { label_ = std::move(label); }
  void advance(std::int64_t count, const ProgressValues& values = {});
  void finish();  // shows the last state, with the time that was taken; once

 private:
  std::string line(double seconds, int columns) const;  // columns: of a terminal
  void draw(double now);

  ProgressOptions options_;
  std::int64_t total_, done_ = 0;
  std::string label_;
  ProgressValues values_;
  bool terminal_, finished_ = false;
  double start_, drawn_;  // seconds of a steady clock
};

// "0:07", "12:34", "1:02:03"; "-:--" where seconds are not finite.
std::string format_duration(double seconds);

// ---- history ----------------------------------------------------------------------------------------------

struct EpochResult {
  std::int64_t epoch = 0;                                  // from 1
  double loss = std::numeric_limits<double>::quiet_NaN();  // NaN: not measured, here and below
  double train_accuracy = std::numeric_limits<double>::quiet_NaN();
  double test_accuracy = std::numeric_limits<double>::quiet_NaN();
  double learning_rate = std::numeric_limits<double>::quiet_NaN();
  double seconds = std::numeric_limits<double>::quiet_NaN();  // of this epoch
};
using History = std::vector<EpochResult>;

// One line per epoch under a line of names; what was not measured is left empty. Throws FileError.
void write_csv(const History& history, const std::string& path);
// Two plots over the epochs, loss and accuracy. Throws FileError.
void write_svg(const History& history, const std::string& path);

// ---- output -----------------------------------------------------------------------------------------------

// Makes the folder, with those above it, where it is missing, and tries to write into it. Throws FileError:
// called before long work it tells at once what would fail at the end.
void require_writable_folder(const std::string& path);

}  // namespace weft
