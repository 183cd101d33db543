// Progress, history, output folders.
#include "weft/train.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "temporary_folder.hpp"
#include "weft/error.hpp"

using namespace weft;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

namespace {

constexpr double not_measured = std::numeric_limits<double>::quiet_NaN();

// What a progress bar of 200 images wrote.
template <class Use>
std::string written(ProgressOptions options, Use&& use) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::tmpfile(), std::fclose);
  options.output = file.get();
  {
    ProgressBar bar(200, options);
    use(bar);
  }
  std::string text(4096, '\0');
  std::rewind(file.get());
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  return text;
}

std::ptrdiff_t count_of(const std::string& text, const std::string& part) {
  std::ptrdiff_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

}  // namespace

TEST_CASE("durations read as minutes and hours", "[train]") {
  CHECK(format_duration(0) == "0:00");
  CHECK(format_duration(7.4) == "0:07");
  CHECK(format_duration(59.6) == "1:00");
  CHECK(format_duration(754) == "12:34");
  CHECK(format_duration(3723) == "1:02:03");
  CHECK(format_duration(std::numeric_limits<double>::infinity()) == "-:--");
  CHECK(format_duration(not_measured) == "-:--");
}

TEST_CASE("where the output is no terminal, progress is plain lines", "[train]") {
  const std::string text = written({.line_interval = 0}, [](ProgressBar& bar) {
    bar.set_label("epoch 1/2");
    bar.advance(50, {.loss = 1.25, .accuracy = 0.5});
    bar.set_label("epoch 2/2");
    bar.advance(150, {.loss = 0.5});
  });
  CHECK(count_of(text, "\n") == 3);
  CHECK(count_of(text, "\r") == 0);
  CHECK_THAT(text, StartsWith("epoch 1/2  25%  "));
  CHECK_THAT(text, Contains(" images/s  loss 1.2500  accuracy 0.500  0:00 left\nepoch 2/2 100%  "));
  CHECK_THAT(text, Contains("  loss 0.5000  0:00 in all\n"));
}

TEST_CASE("between two plain lines lies the given time", "[train]") {
  const std::string text = written({}, [](ProgressBar& bar) {
    for (int i = 0; i < 200; ++i) bar.advance(1, {.loss = not_measured});
  });
  CHECK(count_of(text, "\n") == 1);
  CHECK_THAT(text, Contains("loss nan"));
}

TEST_CASE("on a terminal one line is drawn again and again", "[train]") {
  const std::string text = written({.unit = "rows", .terminal = true}, [](ProgressBar& bar) {
    bar.advance(200, {.loss = 0.125});
    bar.finish();
    bar.finish();
  });
  CHECK_THAT(text, StartsWith("\r[========================] 100%  "));
  CHECK_THAT(text, Contains(" rows/s  loss 0.1250  0:00 in all\x1b[K\n"));
  CHECK(count_of(text, "\n") == 1);
}

TEST_CASE("a line never exceeds the terminal and its bar shrinks first", "[train]") {
  const std::string text = written({.terminal = true}, [](ProgressBar& bar) {
    bar.set_label(std::string(70, 'x'));
    bar.advance(200, {.loss = 0.125});
  });
  CHECK_THAT(text, StartsWith("\rxxx") && Contains("xxx 100%  "));
  CHECK(text.find("\x1b[K") - 1 ==
        79);  // without a size of its own a terminal has 80 columns, the last stays free
}

TEST_CASE("a history becomes lines of numbers, empty where nothing was measured", "[train]") {
  const TemporaryFolder folder;
  write_csv({{.epoch = 1, .loss = 1.5, .train_accuracy = 0.25, .seconds = 2},
             {.epoch = 2, .loss = 0.1, .test_accuracy = 1, .learning_rate = 1e-3}},
            folder / "history.csv");
  CHECK(text_of(folder / "history.csv") ==
        "epoch,loss,train_accuracy,test_accuracy,learning_rate,seconds\n"
        "1,1.5,0.25,,,2\n"
        "2,0.1,,1,0.001,\n");
  CHECK(folder.names() == std::vector<std::string>{"history.csv"});
}

TEST_CASE("the curves have an axis from zero, a line per curve, a gap where nothing was measured",
          "[train]") {
  const TemporaryFolder folder;
  History history;
  for (std::int64_t epoch = 1; epoch <= 8; ++epoch) {
    history.push_back(
        {.epoch = epoch,
         .loss = 2.0 / static_cast<double>(epoch),
         .train_accuracy = epoch == 4 ? not_measured : 0.5 + 0.05 * static_cast<double>(epoch)});
  }
  history.back().test_accuracy = 0.8;
  write_svg(history, folder / "curves.svg");
  const std::string svg = text_of(folder / "curves.svg");
  CHECK_THAT(svg, StartsWith("<svg ") && Contains("</svg>\n"));
  CHECK(count_of(svg, "<polyline") == 3);  // loss, and training accuracy in two parts
  CHECK(count_of(svg, "<circle") == 1);    // the one test accuracy
  CHECK(count_of(svg, ">0.0</text>") == 1);
  CHECK(count_of(svg, ">2.0</text>") == 1);
  CHECK(count_of(svg, ">8</text>") == 2);
  CHECK(count_of(svg, "nan") == 0);
}

TEST_CASE("curves of nothing and of values that are not finite are still pictures", "[train]") {
  const TemporaryFolder folder;
  write_svg({}, folder / "none.svg");
  write_svg({{.epoch = 1, .loss = std::numeric_limits<double>::infinity()}}, folder / "infinite.svg");
  for (const char* name : {"none.svg", "infinite.svg"}) {
    const std::string svg = text_of(folder / name);
    CHECK_THAT(svg, Contains("</svg>"));
    CHECK(count_of(svg, "inf") + count_of(svg, "nan") + count_of(svg, "<polyline") == 0);
  }
}

TEST_CASE("a file that cannot be written is an error that names it", "[train]") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH(write_csv({}, folder / "missing/history.csv"),
                    folder / "missing/history.csv: cannot be written: No such file or directory");
  CHECK_THROWS_AS(write_svg({}, folder.path()), FileError);
  CHECK(folder.names().empty());
}

TEST_CASE("require_writable_folder makes the folder and leaves nothing in it", "[train]") {
  const TemporaryFolder folder;
  require_writable_folder(folder / "a/b");
  require_writable_folder(folder / "a/b");
  CHECK(std::filesystem::is_empty(folder / "a/b"));
}

TEST_CASE("require_writable_folder tells what stands in the way", "[train]") {
  const TemporaryFolder folder;
  write_text(folder / "file", "x");
  CHECK_THROWS_AS(require_writable_folder(folder / "file"), FileError);
  CHECK_THROWS_WITH(require_writable_folder(folder / "file/below"),
                    folder / "file/below: cannot be made a folder: Not a directory");
  CHECK_THROWS_WITH(require_writable_folder("/proc"),
                    StartsWith("/proc: the folder cannot be written into: "));
}
