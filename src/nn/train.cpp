#include "weft/train.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "nn/files.hpp"

namespace weft {

namespace {

constexpr double redraw_interval = 0.1;            // seconds, on a terminal
constexpr int widest_bar = 24, narrowest_bar = 5;  // columns

int columns_of(std::FILE* terminal) {
  winsize size{};
  if (::ioctl(::fileno(terminal), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// As wide as `columns` allow; empty where that is too narrow.
std::string bar(double share, int columns) {
  const int width = std::min(columns - 3, widest_bar);  // brackets and a blank
  if (width < narrowest_bar) return {};
  const int filled = static_cast<int>(share * width);
  std::string text(static_cast<std::size_t>(filled), '=');
  if (filled < width) text += '>';
  text.resize(static_cast<std::size_t>(width), ' ');
  return "[" + text + "] ";
}

std::string csv_number(double value) { return std::isnan(value) ? std::string() : fmt::format("{}", value); }

}  // namespace

std::string format_duration(double seconds) {
  if (!std::isfinite(seconds)) return "-:--";
  const auto whole = static_cast<std::int64_t>(std::llround(std::clamp(seconds, 0.0, 1e15)));
  const std::int64_t hours = whole / 3600, minutes = whole / 60 % 60;
  if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60);
  return fmt::format("{}:{:02}", minutes, whole % 60);
}

ProgressBar::ProgressBar(std::int64_t total, ProgressOptions options)
    : options_(std::move(options)),
      total_(std::max<std::int64_t>(total, 0)),
      terminal_(options_.terminal.value_or(::isatty(::fileno(options_.output)) == 1)),
      start_(seconds_now()),
      drawn_(start_) {}

ProgressBar::~ProgressBar() {
  try {
    finish();
  } catch (...) {  // a bar that cannot be drawn is no reason to end the program
  }
}

void ProgressBar::advance(std::int64_t count, const ProgressValues& values) {
  done_ += count;
  values_ = values;
  const double now = seconds_now();
  if (now - drawn_ >= (terminal_ ? redraw_interval : options_.line_interval)) draw(now);
}

void ProgressBar::finish() {
  if (finished_) return;
  finished_ = true;
  draw(seconds_now());
  if (terminal_) std::fputc('\n', options_.output);
  std::fflush(options_.output);
}

std::string ProgressBar::line(double seconds, int columns) const {
  const double rate = seconds > 0 ? static_cast<double>(done_) / seconds : 0;
  const double share =
      total_ > 0 ? std::clamp(static_cast<double>(done_) / static_cast<double>(total_), 0.0, 1.0) : 1;
  std::string text =
      fmt::format("{:3.0f}%  {:.{}f} {}/s", std::floor(share * 100), rate, rate < 10 ? 1 : 0, options_.unit);
  if (values_.loss) text += fmt::format("  loss {:.4f}", *values_.loss);
  if (values_.accuracy) text += fmt::format("  accuracy {:.3f}", *values_.accuracy);
  if (finished_) {
    text += fmt::format("  {} in all", format_duration(seconds));
  } else {
    text += fmt::format("  {} left", format_duration(static_cast<double>(total_ - done_) / rate));
  }
  const std::string label = label_.empty() ? std::string() : label_ + " ";
  if (!terminal_) return label + text;
  const int left_over = columns - static_cast<int>(label.size() + text.size());
  return (label + bar(share, left_over) + text).substr(0, static_cast<std::size_t>(std::max(columns, 0)));
}

void ProgressBar::draw(double now) {
  drawn_ = now;
  const double seconds = now - start_;
  if (terminal_) {
    fmt::print(options_.output, "\r{}\x1b[K", line(seconds, columns_of(options_.output) - 1));
  } else {
    fmt::print(options_.output, "{}\n", line(seconds, 0));
  }
  std::fflush(options_.output);
}

void write_csv(const History& history, const std::string& path) {
  std::string text = "epoch,loss,train_accuracy,test_accuracy,learning_rate,seconds\n";
  for (const EpochResult& e : history) {
    text += fmt::format("{},{},{},{},{},{}\n", e.epoch, csv_number(e.loss), csv_number(e.train_accuracy),
                        csv_number(e.test_accuracy), csv_number(e.learning_rate), csv_number(e.seconds));
  }
  write_text_file(path, text);
}

}  // namespace weft
