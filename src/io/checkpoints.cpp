// The folder of a run's checkpoints, and the signature of a graph.
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>

#include "core/hash128.hpp"
#include "weft/checkpoint.hpp"
#include "weft/op.hpp"
#include "weft/snapshot.hpp"
#include "weft/train.hpp"

namespace weft {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view prefix = "checkpoint-", suffix = ".h5";

std::optional<std::int64_t> number_in(std::string_view digits) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

// Of "checkpoint-00001234.h5".
std::optional<std::int64_t> step_of(std::string_view name) {
  if (!name.starts_with(prefix) || !name.ends_with(suffix) || name.size() <= prefix.size() + suffix.size())
    return std::nullopt;
  return number_in(name.substr(prefix.size(), name.size() - prefix.size() - suffix.size()));
}

// "checkpoint-00001234.h5.567.part", of a process 567 that is no more.
bool is_left_over(std::string_view name) {
  if (!name.starts_with(prefix) || !name.ends_with(".part")) return false;
  name.remove_suffix(std::string_view(".part").size());
  const auto process = number_in(name.substr(name.rfind('.') + 1));
  return process && ::kill(static_cast<pid_t>(*process), 0) != 0 && errno == ESRCH;
}

// Op, attributes and operands of a node, or what kind of source it is.
std::string describe(const Graph& graph, NodeId n) {
  const TensorType& type = graph.type(n);
  if (graph.kind(n) == NodeKind::parameter) return fmt::format("{} {}", graph.name(n), to_string(type));
  if (graph.kind(n) != NodeKind::op) {
    const Shape row = type.shape.rank() > 0 ? type.shape.without(0) : type.shape;
    return fmt::format("{} {}", static_cast<int>(graph.kind(n)), to_string(TensorType{row, type.dtype}));
  }
  const OpInfo& info = graph.op(n)->info();
  const bool depends_on_rows = info.group == OpGroup::view || info.group == OpGroup::shape;
  const std::string attributes =
      depends_on_rows || info.stochastic ? std::string() : to_string(graph.op(n)->attributes());
  return fmt::format("{} {} {}", info.name, attributes, fmt::join(graph.inputs(n), ","));
}

}  // namespace

std::string graph_signature(const Graph& graph) {
  if (graph.node_count() == 0) return {};
  Hash128 hash;
  for (NodeId n = 0; n < graph.node_count(); ++n) hash.add(std::string_view(describe(graph, n)));
  return to_string(Signature{hash.high, hash.low});
}

Checkpoints::Checkpoints(std::string folder, const CheckpointOptions& options)
    : folder_(std::move(folder)), options_(options) {
  if (options.keep < 1) throw Error(fmt::format("checkpoints: keep is {}, needed at least 1", options.keep));
  require_writable_folder(folder_);
}

std::vector<std::string> Checkpoints::files() const {
  std::vector<std::pair<std::int64_t, std::string>> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    if (const auto step = step_of(entry.path().filename().string())) found.emplace_back(*step, entry.path());
  }
  std::ranges::sort(found);
  std::vector<std::string> files;
  for (auto& [step, file] : found) files.push_back(std::move(file));
  return files;
}

void Checkpoints::save(const TrainingState& state) const {
  if (!state.step) throw Error("checkpoints: the state has no step, by which they are named");
  const std::string made = fs::path(folder_) / fmt::format("{}{:08}{}", prefix, *state.step, suffix);
  save_checkpoint(state, made);
  std::error_code ignored;
  std::vector<std::string> others = files();
  std::erase(others, made);  // never removed, also where others are of later steps
  for (std::size_t i = 0; i + static_cast<std::size_t>(options_.keep) < others.size() + 1; ++i)
    fs::remove(others[i], ignored);
  std::vector<fs::path> left_over;
  for (const auto& entry : fs::directory_iterator(folder_, ignored)) {
    if (is_left_over(entry.path().filename().string())) left_over.push_back(entry.path());
  }
  for (const fs::path& file : left_over) fs::remove(file, ignored);
}

std::optional<std::string> Checkpoints::resume(const TrainingState& state, std::vector<std::string>* skipped,
                                               const ReadOptions& options) const {
  const std::vector<std::string> all = files();
  for (auto file = all.rbegin(); file != all.rend(); ++file) {
    try {
      load_checkpoint(state, *file, options);
      return *file;
    } catch (const FileError& error) {
      if (std::next(file) == all.rend()) throw;
      if (skipped) skipped->push_back(error.what());
    }
  }
  return std::nullopt;
}

}  // namespace weft
