#include "weft/checkpoint.hpp"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <functional>

#include "io/file_reader.hpp"
#include "weft/hdf5.hpp"
#include "weft/nn.hpp"

namespace weft {

namespace {

constexpr std::array<std::string_view, 4> schedule_names{"constant", "step", "exponential", "cosine"};
constexpr std::array<std::string_view, 4> optimizer_names{"", "sgd", "adam", "adamw"};
constexpr std::int64_t history_columns = 6;

Tensor integer(std::int64_t value) { return Tensor::of<std::int64_t>({}, {value}); }

std::string slot_path(const Parameter& parameter, std::string_view what) {
  return fmt::format("optimizer/{}/{}", parameter.name(), what);
}

// ---- writing ----------------------------------------------------------------------------------------------

void write_slot(Hdf5Writer& writer, const SgdSlot& slot) {
  if (slot.momentum.defined())
    writer.write(slot_path(slot.parameter, "momentum"), slot.momentum, {.checksum = true});
}

void write_slot(Hdf5Writer& writer, const AdamSlot& slot) {
  if (!slot.m.defined()) return;
  writer.write(slot_path(slot.parameter, "m"), slot.m, {.checksum = true});
  writer.write(slot_path(slot.parameter, "v"), slot.v,
               {.checksum = true, .attributes = {{"steps", integer(slot.steps)}}});
}

FileAttribute attribute_of(double value) { return Tensor::scalar(value, DType::f64); }
FileAttribute attribute_of(bool value) { return Tensor::of<bool>({}, {value}); }
FileAttribute attribute_of(std::int64_t value) { return integer(value); }

// A group with a kind and what fields() lists of `of`, as attributes.
template <class T>
void write_fields(Hdf5Writer& writer, const std::string& group, std::string_view kind, T of) {
  writer.make_group(group);
  writer.set_attribute(group, "kind", std::string(kind));
  const auto write = [&](const char* name, auto value) {
    writer.set_attribute(group, name, attribute_of(value));
  };
  fields(write, of);
}

void write_optimizer(Hdf5Writer& writer, const TrainingState& state) {
  std::visit(
      [&](auto optimizer) {
        if constexpr (!std::is_same_v<decltype(optimizer), std::monostate>) {
          write_fields(writer, "optimizer", optimizer_names[state.optimizer.index()], optimizer->options());
          for (const auto& slot : optimizer->slots()) write_slot(writer, slot);
        }
      },
      state.optimizer);
}

void write_schedule(Hdf5Writer& writer, const Schedule& schedule) {
  std::visit([&](auto s) { write_fields(writer, "schedule", schedule_names[schedule.index()], s); },
             schedule);
}

void write_history(Hdf5Writer& writer, const History& history) {
  std::vector<double> values;
  for (const EpochResult& e : history) {
    values.insert(values.end(), {static_cast<double>(e.epoch), e.loss, e.train_accuracy, e.test_accuracy,
                                 e.learning_rate, e.seconds});
  }
  writer.write("history", Tensor::of({static_cast<std::int64_t>(history.size()), history_columns}, values),
               {.checksum = true});
}

void write_graph(Hdf5Writer& writer, const Graph& graph) {
  writer.set_attribute("", "graph_seed", integer(static_cast<std::int64_t>(graph.seed())));
  writer.set_attribute("", "graph_random_streams",
                       integer(static_cast<std::int64_t>(graph.random_streams())));
  const std::string signature = graph_signature(graph);
  if (!signature.empty()) writer.set_attribute("", "graph_signature", signature);
}

// ---- reading ----------------------------------------------------------------------------------------------

// Reads and checks all that is wanted; apply() then changes it, and cannot fail.
class Loader {
 public:
  Loader(const std::string& path, const ReadOptions& options)
      : path_(path), file_(path, options), attributes_(file_.attributes()) {
    const FileAttribute* kind = TensorFile::find(attributes_, "kind");
    const auto* text = kind ? std::get_if<std::string>(kind) : nullptr;
    if (!text || *text != "weft checkpoint") io::fail(path_, "", "is no checkpoint of weft's");
  }

  void load(const TrainingState& state) {
    for (const Parameter& parameter : state.parameters) load(parameter);
    load_optimizer(state);
    if (state.schedule) load_schedule(*state.schedule);
    if (state.graph) load_graph(*state.graph);
    for (const auto& [name, random] : state.random) load_random(name, *random);
    if (state.history) load_history(*state.history);
    if (state.epoch) later([to = state.epoch, value = integer("", "epoch")] { *to = value; });
    if (state.step) later([to = state.step, value = integer("", "step")] { *to = value; });
  }

  void apply() {
    for (const auto& change : changes_) change();
  }

 private:
  void later(std::function<void()> change) { changes_.push_back(std::move(change)); }

  const FileAttribute& attribute(const FileAttributes& all, const std::string& object,
                                 const char* name) const {
    const FileAttribute* found = TensorFile::find(all, name);
    if (!found) io::fail(path_, object, fmt::format("lacks the attribute '{}'", name));
    return *found;
  }
  std::string text_in(const FileAttributes& all, const std::string& object, const char* name) const {
    const auto* found = std::get_if<std::string>(&attribute(all, object, name));
    if (!found) io::fail(path_, object, fmt::format("has the attribute '{}', which is no text", name));
    return *found;
  }
  Tensor number_in(const FileAttributes& all, const std::string& object, const char* name,
                   DType dtype) const {
    const auto* found = std::get_if<Tensor>(&attribute(all, object, name));
    if (!found || found->shape() != Shape{} || found->dtype() != dtype)
      io::fail(path_, object,
               fmt::format("has the attribute '{}', which is no {} number", name, weft::name(dtype)));
    return *found;
  }
  std::int64_t integer_in(const FileAttributes& all, const std::string& object, const char* name) const {
    return number_in(all, object, name, DType::i64).values<std::int64_t>()[0];
  }
  std::string text(const std::string& object, const char* name) const {
    return text_in(attributes_, object, name);
  }
  std::int64_t integer(const std::string& object, const char* name) const {
    return integer_in(attributes_, object, name);
  }

  // A tensor of that type whose checksum is right.
  Tensor read(const std::string& name, const TensorType& needed) const {
    const TensorType found = file_.type(name);
    if (found != needed)
      io::fail(path_, name, fmt::format("is {}, needed {}", to_string(found), to_string(needed)));
    const Tensor tensor = file_.read(name);
    const std::int64_t saved = integer_in(file_.attributes(name), name, "crc32"), now = io::crc32(tensor);
    if (saved != now)
      io::fail(path_, name, fmt::format("is damaged: its CRC-32 is {:08x}, needed {:08x}", now, saved));
    return tensor;
  }

  void load(const Parameter& parameter) {
    Tensor value = read("parameters/" + parameter.name(), {parameter.shape(), parameter.value().dtype()});
    later([parameter, value = std::move(value)]() mutable {
      Parameter(parameter).set_value(std::move(value));
    });
  }

  // Empty where the optimiser had not met the parameter.
  Tensor read_slot(const Parameter& parameter, std::string_view what) const {
    const std::string name = slot_path(parameter, what);
    if (!file_.contains(name)) return {};
    return read(name, {parameter.shape(), parameter.value().dtype()});
  }
  void load(SgdSlot& slot) {
    later([&slot, momentum = read_slot(slot.parameter, "momentum")] { slot.momentum = momentum; });
  }
  void load(AdamSlot& slot) {
    const Tensor m = read_slot(slot.parameter, "m"), v = read_slot(slot.parameter, "v");
    const std::string name = slot_path(slot.parameter, "v");
    if (m.defined() != v.defined()) io::fail(path_, name, "is missing, or has no 'm' beside it");
    const std::int64_t steps = v.defined() ? integer_in(file_.attributes(name), name, "steps") : 0;
    later([&slot, m, v, steps] {
      slot.m = m;
      slot.v = v;
      slot.steps = steps;
    });
  }

  // What write_fields() wrote.
  template <class T>
  T fields_of(const FileAttributes& all, const std::string& group) const {
    T result;
    const auto read = [&]<class V>(const char* name, V& value) {
      if constexpr (std::is_same_v<V, double>) {
        value = number_in(all, group, name, DType::f64).item();
      } else if constexpr (std::is_same_v<V, bool>) {
        value = number_in(all, group, name, DType::boolean).template values<bool>()[0];
      } else {
        value = integer_in(all, group, name);
      }
    };
    fields(read, result);
    return result;
  }

  template <class O>
  void load_options(O& optimizer, const FileAttributes& all) {
    using Options = std::remove_cvref_t<decltype(optimizer.options())>;
    const auto options = fields_of<Options>(all, "optimizer");
    try {
      O({}, options);
    } catch (const Error& error) {
      io::fail(path_, "optimizer", fmt::format("has options out of range: {}", error.what()));
    }
    later([&optimizer, options] { optimizer.set_options(options); });
  }

  void load_optimizer(const TrainingState& state) {
    if (state.optimizer.index() == 0) return;
    const std::string_view needed = optimizer_names[state.optimizer.index()];
    if (!file_.contains("optimizer"))
      io::fail(path_, "", fmt::format("is of a run without optimizer, needed {}", needed));
    const FileAttributes all = file_.attributes("optimizer");
    const std::string kind = text_in(all, "optimizer", "kind");
    if (kind != needed)
      io::fail(path_, "", fmt::format("is of a run with the optimizer {}, needed {}", kind, needed));
    std::visit(
        [&](auto optimizer) {
          if constexpr (!std::is_same_v<decltype(optimizer), std::monostate>) {
            load_options(*optimizer, all);
            for (auto& slot : optimizer->slots()) load(slot);
          }
        },
        state.optimizer);
  }

  void load_schedule(Schedule& to) {
    const FileAttributes all = file_.attributes("schedule");
    const std::string kind = text_in(all, "schedule", "kind");
    Schedule schedule;
    if (kind == schedule_names[0])
      schedule = fields_of<ConstantSchedule>(all, "schedule");
    else if (kind == schedule_names[1])
      schedule = fields_of<StepSchedule>(all, "schedule");
    else if (kind == schedule_names[2])
      schedule = fields_of<ExponentialSchedule>(all, "schedule");
    else if (kind == schedule_names[3])
      schedule = fields_of<CosineSchedule>(all, "schedule");
    else
      io::fail(path_, "schedule", fmt::format("is of the unknown kind '{}'", kind));
    later([&to, schedule] { to = schedule; });
  }

  void load_graph(Graph& graph) {
    const auto seed = static_cast<std::uint64_t>(integer("", "graph_seed"));
    if (seed != graph.seed())
      io::fail(path_, "", fmt::format("is of a graph with the seed {}, needed {}", seed, graph.seed()));
    const std::string now = graph_signature(graph);
    if (!now.empty() && TensorFile::find(attributes_, "graph_signature") &&
        text("", "graph_signature") != now) {
      io::fail(path_, "",
               fmt::format("is of another model: its graph has the signature {}, needed {}",
                           text("", "graph_signature"), now));
    }
    later([&graph, streams = integer("", "graph_random_streams")] {
      graph.set_random_streams(static_cast<std::uint64_t>(streams));
    });
  }

  void load_random(const std::string& name, Random& random) {
    const Tensor saved = read("random/" + name, {{3}, DType::i64});
    Random::State state{};
    for (std::size_t i = 0; i < state.size(); ++i)
      state[i] = static_cast<std::uint64_t>(saved.values<std::int64_t>()[i]);
    later([&random, state] { random = Random(state); });
  }

  void load_history(History& to) {
    const TensorType found = file_.type("history");
    const std::int64_t epochs = found.shape.rank() == 2 ? found.shape[0] : 0;
    const Tensor saved = read("history", {{epochs, history_columns}, DType::f64});
    History history;
    for (std::int64_t i = 0; i < epochs; ++i) {
      const double* v = saved.values<double>().data() + i * history_columns;
      history.push_back({static_cast<std::int64_t>(v[0]), v[1], v[2], v[3], v[4], v[5]});
    }
    later([&to, history] { to = history; });
  }

  std::string path_;
  TensorFile file_;
  FileAttributes attributes_;
  std::vector<std::function<void()>> changes_;
};

}  // namespace

void save_checkpoint(const TrainingState& state, const std::string& file) {
  require_distinct_names("save_checkpoint", state.parameters);
  Hdf5Writer writer(file);
  writer.set_attribute("", "kind", std::string("weft checkpoint"));
  writer.set_attribute("", "weft_version", std::string(WEFT_VERSION));
  for (const Parameter& parameter : state.parameters)
    writer.write("parameters/" + parameter.name(), parameter.value(), {.checksum = true});
  write_optimizer(writer, state);
  if (state.schedule) write_schedule(writer, *state.schedule);
  if (state.graph) write_graph(writer, *state.graph);
  for (const auto& [name, random] : state.random) {
    const auto values = std::bit_cast<std::array<std::int64_t, 3>>(random->state());
    writer.write("random/" + name, Tensor::of<std::int64_t>({3}, std::span<const std::int64_t>(values)),
                 {.checksum = true});
  }
  if (state.history) write_history(writer, *state.history);
  if (state.epoch) writer.set_attribute("", "epoch", integer(*state.epoch));
  if (state.step) writer.set_attribute("", "step", integer(*state.step));
  writer.commit();
}

void load_checkpoint(const TrainingState& state, const std::string& file, const ReadOptions& options) {
  require_distinct_names("load_checkpoint", state.parameters);
  Loader loader(file, options);
  loader.load(state);
  loader.apply();
}

}  // namespace weft
