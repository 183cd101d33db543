// A file that is read by the helper program weft-reader.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "io/message.hpp"

namespace weft {

namespace {

namespace fs = std::filesystem;
using io::Json;

constexpr std::int64_t least_memory = 512 << 20;  // of the helper, beside tensors
constexpr int first_descriptor = 10;              // away from those that the helper finds its own at

// WEFT_READER if it is set, else where the helper was built or installed, beside the executable, or in the
// folder that goes with the executable's where all of weft was moved.
fs::path find_helper() {
  if (const char* given = std::getenv("WEFT_READER")) return given;
  std::error_code ignored;
  const fs::path executable = fs::read_symlink("/proc/self/exe", ignored);
  for (const fs::path& place :
       {fs::path(WEFT_READER_BUILT), fs::path(WEFT_READER_INSTALLED),
        executable.parent_path() / "weft-reader", executable.parent_path() / "../libexec/weft/weft-reader"}) {
    if (::access(place.c_str(), X_OK) == 0) return place;
  }
  return {};
}

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int fd() const { return fd_; }
  // The same file under a high number.
  Descriptor raised() const { return Descriptor(::fcntl(fd_, F_DUPFD_CLOEXEC, first_descriptor)); }

 private:
  int fd_;
};

struct SpawnSettings {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;

  SpawnSettings(int socket, int memory) {
    posix_spawn_file_actions_init(&actions);
    for (const int standard : {0, 1, 2})
      posix_spawn_file_actions_addopen(&actions, standard, "/dev/null", O_RDWR, 0);
    posix_spawn_file_actions_adddup2(&actions, socket, io::helper_socket);
    posix_spawn_file_actions_adddup2(&actions, memory, io::helper_memory);
    posix_spawn_file_actions_addclosefrom_np(&actions, io::helper_memory + 1);
    posix_spawnattr_init(&attributes);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
};

// A process that is ended and waited for, however its owner ends.
class Child {
 public:
  Child() = default;
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { end(); }

  pid_t id() const { return id_; }  // 0: none
  void set(pid_t id) { id_ = id; }
  // Its status as waitpid() has it; 0 where nobody knows.
  int end() {
    if (id_ == 0) return 0;
    ::kill(id_, SIGKILL);
    int status = 0;
    while (::waitpid(id_, &status, 0) < 0 && errno == EINTR) continue;
    id_ = 0;
    return status;
  }

 private:
  pid_t id_ = 0;
};

class IsolatedReader final : public FileReader {
 public:
  IsolatedReader(const std::string& file, const ReadOptions& options)
      : file_(file), seconds_(options.seconds), max_bytes_(io::byte_limit(options)) {
    start();
    const Json opened = ask({{"do", "open"}});
    kind_ = static_cast<FileKind>(std::clamp(number(opened, "kind"), 0, 2));
  }

  FileKind kind() const override { return kind_; }
  std::vector<FileObject> objects() override {
    return decoded(ask({{"do", "objects"}}), [&](const Json& answer) {
      std::vector<FileObject> objects;
      for (const Json& object : answer.at("objects")) objects.push_back(io::decode_object(file_, object));
      return objects;
    });
  }
  bool contains(const std::string& name) override {
    return number(ask({{"do", "contains"}, {"name", io::to_text(name)}}), "found") != 0;
  }
  FileObject object(const std::string& name) override {
    return decoded(ask({{"do", "object"}, {"name", io::to_text(name)}}),
                   [&](const Json& answer) { return io::decode_object(file_, answer.at("object")); });
  }
  Tensor read(const std::string& name) override {
    return take(name, ask({{"do", "read"}, {"name", io::to_text(name)}}));
  }
  Tensor read_rows(const std::string& name, std::int64_t first, std::int64_t count) override {
    return take(name,
                ask({{"do", "read_rows"}, {"name", io::to_text(name)}, {"first", first}, {"count", count}}));
  }
  std::vector<std::string> read_strings(const std::string& name) override {
    return decoded(ask({{"do", "read_strings"}, {"name", io::to_text(name)}}), [&](const Json& answer) {
      auto strings = answer.at("strings").get<std::vector<std::string>>();
      for (std::string& text : strings) text = io::to_bytes(text);
      return strings;
    });
  }
  FileAttributes attributes(const std::string& name) override {
    return decoded(ask({{"do", "attributes"}, {"name", io::to_text(name)}}),
                   [&](const Json& answer) { return io::decode_attributes(file_, answer.at("attributes")); });
  }

 private:
  void start() {
    const fs::path helper = find_helper();
    if (helper.empty()) io::fail(file_, "", "cannot be read in isolation: weft-reader was not found");
    std::array<int, 2> pair{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0)
      io::fail(file_, "", fmt::format("cannot be read in isolation: {}", std::strerror(errno)));
    socket_ = Descriptor(pair[0]);
    const Descriptor theirs = Descriptor(pair[1]).raised();
    memory_ = Descriptor(::memfd_create("weft-reader", MFD_CLOEXEC)).raised();
    const std::int64_t limit = std::min(least_memory + 2 * max_bytes_, least_memory + io::byte_limit({}));
    std::array<std::string, 5> arguments = {helper.string(), file_, std::to_string(max_bytes_),
                                            std::to_string(limit),
                                            std::to_string(static_cast<int>(std::ceil(seconds_)) + 1)};
    std::array<char*, 6> argv{};
    std::ranges::transform(arguments, argv.begin(), [](std::string& text) { return text.data(); });
    const SpawnSettings settings(theirs.fd(), memory_.fd());
    pid_t id = 0;
    const int error =
        ::posix_spawn(&id, helper.c_str(), &settings.actions, &settings.attributes, argv.data(), environ);
    if (error) io::fail(file_, "", fmt::format("cannot be read in isolation: {}", std::strerror(error)));
    child_.set(id);
  }

  [[noreturn]] void fail_ended(const Json& request, std::string_view how) {
    const int status = child_.end();
    const std::string why = WIFSIGNALED(status) && how.empty()
                                ? fmt::format("crashed ({})", ::strsignal(WTERMSIG(status)))
                                : std::string(how.empty() ? "ended" : how);
    io::fail(file_, io::to_bytes(request.value("name", "")),
             fmt::format("cannot be read: the reader helper {}; the file is damaged or too large", why));
  }

  Json ask(const Json& request) {
    if (child_.id() == 0) io::fail(file_, "", "cannot be read: its reader helper has ended");
    const auto wait = std::chrono::duration<double>(std::clamp(seconds_, 0.0, 1e6));
    const auto deadline =
        std::chrono::steady_clock::now() + std::chrono::ceil<std::chrono::milliseconds>(wait);
    std::string text;
    const bool is_sent = io::send_message(socket_.fd(), request);
    const io::Received received =
        is_sent ? io::receive_message(socket_.fd(), deadline, text) : io::Received::end;
    if (received == io::Received::late) fail_ended(request, fmt::format("took more than {} s", seconds_));
    if (received == io::Received::too_long) fail_ended(request, "gave too long an answer");
    if (received == io::Received::end) {
      wait_for_death();
      fail_ended(request, "");
    }
    return decoded(text, [&](const std::string& json) {
      Json answer = io::parse_message(json);
      if (answer.contains("error")) throw FileError(io::to_bytes(answer["error"].get<std::string>()));
      return answer;
    });
  }

  // The socket is closed a moment before the process is gone: its own end is the news.
  void wait_for_death() const {
    siginfo_t info;
    for (int i = 0; i < 100; ++i) {
      info.si_pid = 0;
      if (::waitid(P_PID, static_cast<id_t>(child_.id()), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
          info.si_pid)
        return;
      ::usleep(10'000);
    }
  }

  template <class A, class F>
  auto decoded(const A& answer, F&& f) -> decltype(f(answer)) {
    try {
      return f(answer);
    } catch (const Json::exception&) {
      io::fail(file_, "", "cannot be read: the reader helper gave a damaged answer");
    }
  }

  int number(const Json& answer, const char* key) {
    return decoded(answer, [&](const Json& json) { return json.at(key).get<int>(); });
  }

  Tensor take(const std::string& name, const Json& answer) {
    const TensorType type = decoded(answer, [&](const Json& json) { return io::decode_type(file_, json); });
    Tensor tensor = io::allocate(file_, name, type, max_bytes_);
    if (!io::take_bytes(memory_.fd(), tensor))
      io::fail(file_, name, "cannot be read: the reader helper gave less than it said");
    io::make_valid(tensor);
    return tensor;
  }

  std::string file_;
  double seconds_;
  std::int64_t max_bytes_;
  FileKind kind_ = FileKind::hdf5;
  Descriptor socket_, memory_;
  Child child_;
};

}  // namespace

std::unique_ptr<FileReader> open_isolated(const std::string& file, const ReadOptions& options) {
  return std::make_unique<IsolatedReader>(file, options);
}

}  // namespace weft
