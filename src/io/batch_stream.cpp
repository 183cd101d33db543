#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <thread>

#include "io/data_source.hpp"
#include "kernels/parallel.hpp"
#include "weft/random.hpp"

namespace weft {

void copy_rows(const Tensor& x, std::span<const std::int64_t> rows, Tensor& y, std::int64_t first) {
  if (rows.empty() || y.elements() == 0) return;
  const std::size_t row_bytes = y.bytes() / static_cast<std::size_t>(y.extent(0));
  const auto* from = static_cast<const std::byte*>(x.data());
  auto* to = static_cast<std::byte*>(y.mutable_data()) + static_cast<std::size_t>(first) * row_bytes;
  const std::int64_t grain = std::max<std::int64_t>(1, 65536 / static_cast<std::int64_t>(row_bytes));
  parallel_for(static_cast<std::int64_t>(rows.size()), grain, [&](std::int64_t begin, std::int64_t end) {
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i)
      std::memcpy(to + i * row_bytes, from + static_cast<std::size_t>(rows[i]) * row_bytes, row_bytes);
  });
}

const Tensor& Batch::tensor(std::string_view name) const {
  const auto found = std::ranges::find(tensors, name, &NamedTensor::first);
  if (found != tensors.end()) return found->second;
  throw Error(fmt::format("the batch has no '{}'", name));
}

namespace {

constexpr std::int64_t block_bytes = 1 << 20;  // read at once, about
constexpr std::int64_t least_blocks = 8;       // of a window, where chunks allow

using Rows = std::vector<std::int64_t>;

// Rows that are shuffled among themselves, ready to be taken.
struct Window {
  std::int64_t epoch = 0;
  std::vector<Tensor> tensors;  // their rows
  Rows order;                   // of those rows, as they are to be taken
  Rows rows;                    // where each of `order` is in the data set's source
};

// All of x's rows to y's from row `first` on.
void put_rows(const Tensor& x, Tensor& y, std::int64_t first) {
  if (x.elements() == 0) return;
  const std::size_t row_bytes = x.bytes() / static_cast<std::size_t>(x.extent(0));
  std::memcpy(static_cast<std::byte*>(y.mutable_data()) + static_cast<std::size_t>(first) * row_bytes,
              x.data(), x.bytes());
}

}  // namespace

struct BatchStream::State {
  DataSet data;
  StreamOptions options;
  const DataSet::Source& source;
  std::int64_t block_rows = 1, blocks_per_window = 1;
  std::vector<std::int64_t> block_begin;  // selected rows before each block; one more entry: all
  Rows full_blocks;                       // those that have rows

  // What next() takes from.
  std::int64_t epoch = 0, taken = 0;  // rows of this epoch
  Window window;
  std::size_t used = 0;  // of the window's order

  // What the thread makes: the window that follows.
  std::int64_t load_epoch = 0, load_window = 0;  // the next one to load
  std::optional<Window> loaded;
  std::exception_ptr failure;
  bool stopping = false;
  std::mutex mutex;
  std::condition_variable changed;
  std::thread thread;

  State(DataSet d, const StreamOptions& o);
  ~State() { stop(); }

  std::int64_t rows() const { return data.rows(); }
  std::int64_t window_count() const {
    const auto blocks = static_cast<std::int64_t>(full_blocks.size());
    return (blocks + blocks_per_window - 1) / blocks_per_window;
  }
  std::int64_t epoch_rows() const {
    return options.drop_last ? rows() / options.batch_size * options.batch_size : rows();
  }
  Rows block_order(std::int64_t of_epoch) const;
  Window make_window(std::int64_t of_epoch, std::int64_t index) const;
  void fill(Window& made, std::span<const std::int64_t> blocks) const;
  void run();
  void stop();
  Window take_window();
  Batch take(std::int64_t count);
  void place(std::int64_t at_epoch, std::int64_t row);
};

BatchStream::State::State(DataSet d, const StreamOptions& o)
    : data(std::move(d)), options(o), source(*data.source_) {
  if (options.batch_size < 1 || options.memory < 1) {
    throw Error(fmt::format("batches of {} rows, {} bytes of memory: needed 1 of each at least",
                            options.batch_size, options.memory));
  }
  // Two windows, and the block that is being read.
  const std::int64_t budget = options.memory / 5 * 4;  // the tensor pool rounds up by at most a quarter
  const std::int64_t wanted =
      std::max<std::int64_t>(1, std::min(block_bytes, budget / (2 * least_blocks + 1)) / source.row_bytes);
  const std::int64_t chunk = std::max<std::int64_t>(source.chunk_rows, 1);
  block_rows = std::max<std::int64_t>(1, wanted / chunk) * chunk;
  block_rows = std::max<std::int64_t>(1, std::min(block_rows, source.rows));
  const std::int64_t bytes = block_rows * source.row_bytes;
  if (3 * bytes > budget && !source.in_memory()) {
    throw Error(fmt::format(
        "{}: {} rows of {} bytes are stored together, so that streaming needs {} bytes of memory, and {} are "
        "allowed",
        source.file->path(), block_rows, source.row_bytes, (3 * bytes + 3) / 4 * 5, options.memory));
  }
  blocks_per_window = std::max<std::int64_t>(1, (budget / bytes - 1) / 2);
  const std::int64_t blocks = (source.rows + block_rows - 1) / block_rows;
  for (std::int64_t block = 0; block <= blocks; ++block) {
    const std::int64_t begin = std::min(block * block_rows, source.rows);
    const auto* selected = data.selected_.get();
    block_begin.push_back(selected ? std::ranges::lower_bound(*selected, begin) - selected->begin() : begin);
    if (block > 0 && block_begin.back() > block_begin[block_begin.size() - 2])
      full_blocks.push_back(block - 1);
  }
}

Rows BatchStream::State::block_order(std::int64_t of_epoch) const {
  Rows order = full_blocks;
  if (!options.shuffle) return order;
  Random random(options.seed, static_cast<std::uint64_t>(of_epoch) * 2);
  const Rows permutation = random.permutation(static_cast<std::int64_t>(order.size()));
  for (std::size_t i = 0; i < order.size(); ++i)
    order[i] = full_blocks[static_cast<std::size_t>(permutation[i])];
  return order;
}

// Reads the blocks, one after the other, and lists which of their rows are selected.
void BatchStream::State::fill(Window& made, std::span<const std::int64_t> blocks) const {
  const std::int64_t capacity = std::min(blocks_per_window * block_rows, source.rows);
  for (const TensorType& type : source.types) {
    if (!source.in_memory()) made.tensors.emplace_back(type.shape.with(0, capacity), type.dtype);
  }
  if (source.in_memory()) made.tensors = source.tensors;
  std::int64_t place = 0;
  for (const std::int64_t block : blocks) {
    const std::int64_t first = block * block_rows, count = std::min(block_rows, source.rows - first);
    for (std::int64_t i = block_begin[static_cast<std::size_t>(block)];
         i < block_begin[static_cast<std::size_t>(block) + 1]; ++i) {
      const std::int64_t row = data.selected_ ? (*data.selected_)[static_cast<std::size_t>(i)] : i;
      made.rows.push_back(row);
      made.order.push_back(source.in_memory() ? row : place + row - first);
    }
    if (!source.in_memory()) {
      const std::vector<Tensor> read = source.read(first, count);
      for (std::size_t i = 0; i < read.size(); ++i) put_rows(read[i], made.tensors[i], place);
    }
    place += count;
  }
}

Window BatchStream::State::make_window(std::int64_t of_epoch, std::int64_t index) const {
  const Rows blocks = block_order(of_epoch);
  const auto begin = static_cast<std::size_t>(index * blocks_per_window);
  const std::size_t count = std::min(static_cast<std::size_t>(blocks_per_window), blocks.size() - begin);
  Window made;
  made.epoch = of_epoch;
  fill(made, std::span(blocks).subspan(begin, count));
  if (!options.shuffle) return made;
  Random random(options.seed,
                (static_cast<std::uint64_t>(index) << 32 | static_cast<std::uint64_t>(of_epoch)) * 2 + 1);
  const Rows permutation = random.permutation(static_cast<std::int64_t>(made.order.size()));
  Rows order(permutation.size()), rows(permutation.size());
  for (std::size_t i = 0; i < permutation.size(); ++i) {
    order[i] = made.order[static_cast<std::size_t>(permutation[i])];
    rows[i] = made.rows[static_cast<std::size_t>(permutation[i])];
  }
  made.order = std::move(order);
  made.rows = std::move(rows);
  return made;
}

// The thread: one window ahead of next().
void BatchStream::State::run() {
  std::unique_lock lock(mutex);
  while (!stopping) {
    if (loaded || failure) {
      changed.wait(lock);
      continue;
    }
    const std::int64_t of_epoch = load_epoch, index = load_window;
    lock.unlock();
    std::optional<Window> made;
    std::exception_ptr thrown;
    try {
      made = make_window(of_epoch, index);
    } catch (...) {
      thrown = std::current_exception();
    }
    lock.lock();
    loaded = std::move(made);
    failure = thrown;
    if (++load_window == window_count()) {
      load_window = 0;
      ++load_epoch;
    }
    changed.notify_all();
  }
}

void BatchStream::State::stop() {
  {
    const std::lock_guard lock(mutex);
    stopping = true;
  }
  changed.notify_all();
  if (thread.joinable()) thread.join();
  stopping = false;
}

Window BatchStream::State::take_window() {
  if (source.in_memory()) {  // nothing to wait for
    Window made = make_window(load_epoch, load_window);
    if (++load_window == window_count()) {
      load_window = 0;
      ++load_epoch;
    }
    return made;
  }
  window = {};  // its memory is the thread's for the window after
  std::unique_lock lock(mutex);
  if (!thread.joinable()) thread = std::thread([this] { run(); });
  changed.wait(lock, [&] { return loaded || failure; });
  if (failure) std::rethrow_exception(failure);
  Window result = std::move(*loaded);
  loaded.reset();
  changed.notify_all();
  return result;
}

// Lets row `row` of epoch `at_epoch` be the next.
void BatchStream::State::place(std::int64_t at_epoch, std::int64_t row) {
  stop();
  loaded.reset();
  failure = nullptr;
  window = {};
  used = 0;
  epoch = load_epoch = at_epoch;
  taken = row;
  load_window = 0;
  const Rows blocks = block_order(at_epoch);
  std::int64_t before = 0;  // rows of the windows that are passed over
  for (std::int64_t index = 0; index < window_count(); ++index) {
    std::int64_t in_window = 0;
    const auto end =
        std::min<std::int64_t>((index + 1) * blocks_per_window, static_cast<std::int64_t>(blocks.size()));
    for (std::int64_t i = index * blocks_per_window; i < end; ++i) {
      const auto block = static_cast<std::size_t>(blocks[static_cast<std::size_t>(i)]);
      in_window += block_begin[block + 1] - block_begin[block];
    }
    load_window = index;
    if (before + in_window > row) break;
    before += in_window;
  }
  if (row == 0) return;
  window = take_window();
  used = static_cast<std::size_t>(row - before);
}

BatchStream::BatchStream(DataSet data, const StreamOptions& options)
    : state_(std::make_unique<State>(std::move(data), options)) {}
BatchStream::~BatchStream() = default;

std::int64_t BatchStream::epoch() const { return state_->epoch; }
std::int64_t BatchStream::batch() const { return state_->taken / state_->options.batch_size; }
std::int64_t BatchStream::batches_per_epoch() const {
  return (state_->epoch_rows() + state_->options.batch_size - 1) / state_->options.batch_size;
}

void BatchStream::seek(std::int64_t epoch, std::int64_t batch) {
  if (epoch < 0 || batch < 0 || batch >= std::max<std::int64_t>(batches_per_epoch(), 1)) {
    throw Error(fmt::format("seek: batch {} of epoch {}: an epoch has {} batches", batch, epoch,
                            batches_per_epoch()));
  }
  state_->place(epoch, batch * state_->options.batch_size);
}

// The next `count` rows.
Batch BatchStream::State::take(std::int64_t count) {
  Batch batch;
  batch.epoch = epoch;
  batch.index = taken / options.batch_size;
  for (std::size_t i = 0; i < source.types.size(); ++i) {
    const TensorType& type = source.types[i];
    batch.tensors.emplace_back(source.names[i], Tensor(type.shape.with(0, count), type.dtype));
  }
  for (std::int64_t done = 0; done < count;) {
    if (used == window.order.size()) {
      window = take_window();
      used = 0;
    }
    const std::size_t part = std::min(static_cast<std::size_t>(count - done), window.order.size() - used);
    const auto rows_here = std::span(window.order).subspan(used, part);
    for (std::size_t i = 0; i < batch.tensors.size(); ++i)
      copy_rows(window.tensors[i], rows_here, batch.tensors[i].second, done);
    const auto begin = window.rows.begin() + static_cast<std::ptrdiff_t>(used);
    batch.rows.insert(batch.rows.end(), begin, begin + static_cast<std::ptrdiff_t>(part));
    used += part;
    done += static_cast<std::int64_t>(part);
  }
  taken += count;
  return batch;
}

std::optional<Batch> BatchStream::next() {
  State& s = *state_;
  const std::int64_t left = s.epoch_rows() - s.taken;
  if (left > 0) return s.take(std::min(left, s.options.batch_size));
  if (s.epoch_rows() < s.rows()) {
    s.place(s.epoch + 1, 0);  // rows were left over
  } else {
    ++s.epoch;
    s.taken = 0;
  }
  return std::nullopt;
}

}  // namespace weft
