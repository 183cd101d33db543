// Checkpoints: what they hold, what damages are noticed, and that nothing is lost by a kill or a full disk.
#include "weft/checkpoint.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "file_support.hpp"
#include "weft/hdf5.hpp"
#include "weft/weft.hpp"

using namespace weft;
using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;

namespace {

using Names = std::vector<std::string>;

// A network of one layer after a few steps, and the state around it.
struct Run {
  Parameter w = he_normal("head/w", {3, 2}), b = zeros("head/b", {2});
  Adam adam{{w, b}};
  Schedule schedule = CosineSchedule{0.1, 100, 5};
  Graph g{{.seed = 9}};
  Random random{4, "augmentation"};
  History history;
  std::int64_t epoch = 0, step = 0;
  TrainingState state{.parameters = {w, b},
                      .optimizer = &adam,
                      .schedule = &schedule,
                      .graph = &g,
                      .random = {{"augmentation", &random}},
                      .history = &history,
                      .epoch = &epoch,
                      .step = &step};

  double train(int steps) {
    double loss = 0;
    for (int i = 0; i < steps; ++i, ++step) {
      g.clear();
      const Var x = dropout(g.input(random.uniform({4, 3}, -1, 1)), 0.25);
      const Var y =
          softmax_crossentropy(matmul(x, g.use(w)) + g.use(b), Tensor::of<std::int64_t>({4}, {0, 1, 0, 1}));
      g.backward(y);
      adam.set_learning_rate(learning_rate(schedule, step));
      adam.step();
      adam.zero_grad();
      loss = y.item();
    }
    history.push_back({.epoch = ++epoch, .loss = loss});
    return loss;
  }
};

pid_t start(const std::string& folder, const std::string& steps) {
  std::string program = WEFT_RESUMABLE_RUN, place = folder, count = steps;
  char* argv[] = {program.data(), place.data(), count.data(), nullptr};
  pid_t child = 0;
  ::setenv("OMP_NUM_THREADS", "1", 1);  // two threads would mostly wait for one another
  REQUIRE(::posix_spawn(&child, program.c_str(), nullptr, nullptr, argv, environ) == 0);
  ::unsetenv("OMP_NUM_THREADS");
  return child;
}

int status_of(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) continue;
  return status;
}

}  // namespace

TEST_CASE("a resumed run goes on bit for bit", "[checkpoint]") {
  const TemporaryFolder folder;
  const std::string file = folder / "c.h5";
  Run whole;
  whole.train(3);
  save_checkpoint(whole.state, file);
  const double expected = whole.train(4);

  Run resumed;
  resumed.schedule = ConstantSchedule{};
  const bool isolated = GENERATE(false, true);
  load_checkpoint(resumed.state, file, {.isolated = isolated});
  CHECK(resumed.step == 3);
  CHECK(resumed.epoch == 1);
  CHECK(resumed.adam.slots()[0].steps == 3);
  CHECK(resumed.train(4) == expected);
  CHECK(is_same(resumed.w.value(), whole.w.value()));
  CHECK(is_same(resumed.b.value(), whole.b.value()));
  CHECK(resumed.history.size() == 2);
  CHECK(std::isnan(resumed.history[0].seconds));
}

TEST_CASE("each optimiser's state and options come back", "[checkpoint]") {
  const TemporaryFolder folder;
  const std::string file = folder / "c.h5";
  const Parameter w = ones("w", {2}), other = zeros("w", {2});
  Sgd sgd({w}, {.learning_rate = 0.25, .momentum = 0.5, .nesterov = true, .weight_decay = 0.125});
  Parameter(w).set_grad(Tensor::of<float>({2}, {1, 2}));
  sgd.step();
  save_checkpoint({.parameters = {w}, .optimizer = &sgd}, file);
  Sgd same({other});
  load_checkpoint({.parameters = {other}, .optimizer = &same}, file);
  CHECK(same.learning_rate() == 0.25);
  CHECK(same.options().momentum == 0.5);
  CHECK(same.options().nesterov);
  CHECK(same.options().weight_decay == 0.125);
  CHECK(is_same(same.slots()[0].momentum, sgd.slots()[0].momentum));
  CHECK(is_same(other.value(), w.value()));

  AdamW adamw({w}, {.learning_rate = 0.5, .beta1 = 0.25, .beta2 = 0.75, .epsilon = 1e-3, .weight_decay = 2});
  const auto load_as = [&](auto& optimizer) {
    return error_of([&] { load_checkpoint({.parameters = {other}, .optimizer = &optimizer}, file); });
  };
  CHECK(load_as(adamw) == file + ": is of a run with the optimizer sgd, needed adamw");
  save_checkpoint({.parameters = {w}, .optimizer = &adamw}, file);
  AdamW fresh({other});
  CHECK(load_as(fresh) == "nothing was thrown");
  CHECK(fresh.learning_rate() == 0.5);
  CHECK(fresh.options().beta1 == 0.25);
  CHECK(fresh.options().beta2 == 0.75);
  CHECK(fresh.options().epsilon == 1e-3);
  CHECK(fresh.options().weight_decay == 2);
  CHECK(fresh.slots()[0].steps == 0);  // it had not taken a step
  CHECK(is_same(fresh.slots()[0].m, Tensor::zeros({2})));
  CHECK(is_same(fresh.slots()[0].v, Tensor::zeros({2})));
  save_checkpoint({.parameters = {w}}, file);
  CHECK(load_as(fresh) == file + ": is of a run without optimizer, needed adamw");
}

TEST_CASE("each schedule comes back, and options that none can have do not", "[checkpoint]") {
  const TemporaryFolder folder;
  const std::string file = folder / "c.h5";
  for (Schedule saved :
       {Schedule(ConstantSchedule{0.5}), Schedule(StepSchedule{0.5, 0.25, 7}),
        Schedule(ExponentialSchedule{0.5, 0.75}), Schedule(CosineSchedule{0.5, 9, 2, 0.1})}) {
    Schedule loaded = ConstantSchedule{3};
    save_checkpoint({.schedule = &saved}, file);
    load_checkpoint({.schedule = &loaded}, file);
    CHECK(loaded.index() == saved.index());
    for (const std::int64_t step : {0, 1, 7, 8, 100})
      CHECK(learning_rate(loaded, step) == learning_rate(saved, step));
  }
  const Tensor bad = Tensor::scalar(1.5, DType::f64);
  Hdf5Writer writer(file);
  writer.set_attribute("", "kind", std::string("weft checkpoint"));
  writer.make_group("optimizer");
  writer.set_attribute("optimizer", "kind", std::string("sgd"));
  for (const char* name : {"learning_rate", "momentum", "weight_decay"})
    writer.set_attribute("optimizer", name, bad);
  writer.set_attribute("optimizer", "nesterov", Tensor::of<bool>({}, {false}));
  writer.commit();
  Sgd sgd({}, {.learning_rate = 0.5});
  CHECK_THAT(
      error_of([&] { load_checkpoint({.optimizer = &sgd}, file); }),
      Contains("'optimizer' has options out of range: sgd: momentum is 1.5, needed a number in [0, 1)"));
  CHECK(sgd.learning_rate() == 0.5);
}

TEST_CASE("a checkpoint of something else changes nothing", "[checkpoint]") {
  const TemporaryFolder folder;
  const std::string file = folder / "c.h5";
  Run run;
  run.train(2);
  save_checkpoint(run.state, file);
  Run other;
  const std::string before = to_string(other.w.value());
  const auto error = [&] { return error_of([&] { load_checkpoint(other.state, file); }); };
  other.g.input(Tensor::scalar(1));
  CHECK_THAT(error(), Contains(file + ": is of another model: its graph has the signature "));
  other.g.clear();
  other.state.random.emplace_back("dropout", &other.random);
  CHECK_THAT(error(), Contains("data set 'random/dropout' is missing"));
  other.state.random.pop_back();
  other.state.parameters.push_back(zeros("head/c", {1}));
  CHECK_THAT(error(), Contains("data set 'parameters/head/c' is missing"));
  other.state.parameters.pop_back();
  Graph seeded({.seed = 1});
  other.state.graph = &seeded;
  CHECK(error() == file + ": is of a graph with the seed 9, needed 1");
  CHECK(to_string(other.w.value()) == before);
  CHECK(other.step == 0);
  save_parameters({run.w}, file);
  CHECK(error() == file + ": is no checkpoint of weft's");
}

TEST_CASE("the signature of a graph names the model, not the batch", "[checkpoint]") {
  const auto signature = [](std::int64_t rows, bool relued, const char* name) {
    Graph g;
    const Parameter w = ones(name, {6, 2});
    const Var x = flatten(g.input(Tensor::zeros({rows, 2, 3})));
    const Var y = matmul(x, g.use(w));
    sum(relued ? relu(y) : y);
    return graph_signature(g);
  };
  CHECK(signature(4, true, "w") == signature(7, true, "w"));
  CHECK(signature(4, true, "w") != signature(4, false, "w"));
  CHECK(signature(4, true, "w") != signature(4, true, "v"));
  CHECK(graph_signature(Graph()).empty());
}

TEST_CASE("a damaged value is noticed by its checksum", "[checkpoint]") {
  const TemporaryFolder folder;
  const std::string file = folder / "c.h5";
  const Parameter w("w", Tensor::full({1000}, 1.7182818));
  save_checkpoint({.parameters = {w}}, file);
  std::string bytes = text_of(file);
  const float value = 1.7182818f;
  const std::string pattern(reinterpret_cast<const char*>(&value), sizeof value);
  const std::size_t place = bytes.find(pattern + pattern);
  REQUIRE(place != std::string::npos);
  bytes[place + 400] ^= 1;
  write_text(file, bytes);
  CHECK_THAT(error_of([&] { load_checkpoint({.parameters = {w}}, file); }),
             Contains(file + ": data set 'parameters/w' is damaged: its CRC-32 is "));
}

TEST_CASE("the last checkpoints are kept, and the newest whole one is resumed", "[checkpoint]") {
  const TemporaryFolder folder;
  const Checkpoints checkpoints(folder / "run", {.keep = 2});
  Run run;
  CHECK_FALSE(checkpoints.resume(run.state));
  write_text(folder / "run/checkpoint-00000001.h5.999999999.part", "left by a process that died");
  for (int i = 0; i < 3; ++i) {
    run.train(5);
    checkpoints.save(run.state);
  }
  const Names kept = checkpoints.files();
  CHECK(kept == Names{folder / "run/checkpoint-00000010.h5", folder / "run/checkpoint-00000015.h5"});
  CHECK(std::distance(std::filesystem::directory_iterator(folder / "run"), {}) == 2);
  Run resumed;
  CHECK(checkpoints.resume(resumed.state) == kept[1]);
  CHECK(resumed.step == 15);
  const std::string whole = text_of(kept[1]);
  write_text(kept[1], whole.substr(0, whole.size() / 2));
  Names skipped;
  CHECK(checkpoints.resume(resumed.state, &skipped) == kept[0]);
  CHECK(resumed.step == 10);
  REQUIRE(skipped.size() == 1);
  CHECK_THAT(skipped[0], Contains(kept[1] + ": is an HDF5 file, but damaged"));
  resumed.train(2);  // goes on in front of the damaged one: nothing that is whole is lost
  checkpoints.save(resumed.state);
  CHECK(checkpoints.files() == Names{folder / "run/checkpoint-00000012.h5", kept[1]});
  CHECK(checkpoints.resume(resumed.state) == folder / "run/checkpoint-00000012.h5");
  write_text(folder / "run/checkpoint-00000012.h5", "");
  CHECK_THROWS_AS(checkpoints.resume(resumed.state), FileError);
  CHECK_THROWS_WITH(Checkpoints(folder / "run", {.keep = 0}), "checkpoints: keep is 0, needed at least 1");
}

TEST_CASE("a full disk leaves the old checkpoint, and no other file", "[checkpoint]") {
  const TemporaryFolder folder;
  const std::string file = folder / "c.h5";
  Run run;
  run.train(1);
  save_checkpoint(run.state, file);
  const std::string before = text_of(file);
  rlimit limit{};
  ::getrlimit(RLIMIT_FSIZE, &limit);
  const auto old_handler = ::signal(SIGXFSZ, SIG_IGN);
  for (const rlim_t bytes : {0, 1, 1000, static_cast<int>(before.size()) - 1}) {
    const rlimit small{bytes, limit.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &small);
    const std::string error = error_of([&] { save_checkpoint(run.state, file); });
    ::setrlimit(RLIMIT_FSIZE, &limit);
    CHECK(error == file + ": cannot be written: File too large");
    const bool is_unchanged = text_of(file) == before;
    CHECK(is_unchanged);
    CHECK(folder.names() == Names{"c.h5"});
  }
  ::signal(SIGXFSZ, old_handler);
}

TEST_CASE("a run that is killed at 200 random moments ends with the same weights", "[checkpoint][slow]") {
  const TemporaryFolder once, often;
  REQUIRE(status_of(start(once.path(), "300")) == 0);
  Random random(11, "moments");
  int kills = 0;
  for (int i = 0; i < 200; ++i) {
    const pid_t child = start(often.path(), "300");
    ::usleep(static_cast<useconds_t>(random.below(60'000)));
    ::kill(child, SIGKILL);
    const int status = status_of(child);
    REQUIRE((status == 0 || WIFSIGNALED(status)));  // 3: a checkpoint was not whole
    kills += WIFSIGNALED(status);
    if (status == 0)
      std::filesystem::remove_all(often / "checkpoints");  // done: once more from the beginning
  }
  CHECK(kills > 100);
  REQUIRE(status_of(start(often.path(), "300")) == 0);
  const bool is_same_file = text_of(often / "final.h5") == text_of(once / "final.h5");
  CHECK(is_same_file);
}

TEST_CASE("h5py and h5dump find plain names in a checkpoint", "[checkpoint]") {
  if (!has_h5py()) return;
  const TemporaryFolder folder;
  Run run;
  run.train(2);
  save_checkpoint(run.state, folder / "c.h5");
  CHECK(python(R"(
import zlib
f = h5py.File(path, 'r')
w = f['parameters/head/w']
assert w.shape == (3, 2) and w.dtype == np.float32
assert w.attrs['crc32'] == zlib.crc32(w[()].tobytes())
assert f['optimizer/head/w/m'].shape == (3, 2) and f['optimizer/head/w/v'].attrs['steps'] == 2
assert f.attrs['kind'] == 'weft checkpoint' and f.attrs['epoch'] == 1 and f.attrs['step'] == 2
assert f['schedule'].attrs['kind'] == 'cosine' and f['schedule'].attrs['warm_up'] == 5
assert f['optimizer'].attrs['kind'] == 'adam' and f['optimizer'].attrs['beta2'] == 0.999
assert len(f.attrs['graph_signature']) == 32 and f.attrs['weft_version']
)",
               folder / "c.h5"));
  if (std::system("h5dump --version > /dev/null 2>&1") != 0) {
    WARN("skipped: there is no h5dump");
    return;
  }
  CHECK(std::system(("h5dump -d parameters/head/w " + folder / "c.h5" + " > " + folder / "dump").c_str()) ==
        0);
  CHECK_THAT(text_of(folder / "dump"), Contains("H5T_IEEE_F32LE"));
}
