#include "diagram/layout.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <thread>

namespace weft::diagram {

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

// WEFT_LAYOUT if it is set, else where the helper was built or installed, or beside the executable. Empty:
// nowhere.
fs::path find_helper() {
  if (const char* given = std::getenv("WEFT_LAYOUT")) return given;
  std::error_code ignored;
  const fs::path executable = fs::read_symlink("/proc/self/exe", ignored);
  for (const fs::path& place : {fs::path(WEFT_LAYOUT_BUILT), fs::path(WEFT_LAYOUT_INSTALLED),
                                executable.parent_path() / "weft-layout"}) {
    if (::access(place.c_str(), X_OK) == 0) return place;
  }
  return {};
}

// What posix_spawn is told: a process group of its own, so that all of it can be killed; no signal blocked;
// no terminal, no descriptor of ours.
struct SpawnSettings {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;

  explicit SpawnSettings(const fs::path& messages) {
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, messages.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    posix_spawnattr_init(&attributes);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
};

// The exit status of `child`, or nothing when it runs still at `deadline`. A child that someone else has
// waited for (SIGCHLD ignored, or a loop over wait()) counts as ended well: its output decides.
std::optional<int> wait_until(pid_t child, Clock::time_point deadline) {
  auto pause = std::chrono::milliseconds(1);
  for (;;) {
    int status = 0;
    const pid_t ended = ::waitpid(child, &status, WNOHANG);
    if (ended == child) return status;
    if (ended < 0 && errno != EINTR) return 0;
    if (Clock::now() >= deadline) return std::nullopt;
    std::this_thread::sleep_for(pause);
    pause = std::min(2 * pause, std::chrono::milliseconds(20));
  }
}

void kill_group(pid_t leader) {
  ::kill(-leader, SIGKILL);
  while (::waitpid(leader, nullptr, 0) < 0 && errno == EINTR) continue;
}

std::string first_line(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

bool is_complete(const fs::path& picture, std::string_view format) {
  const std::string_view mark = format == "svg" ? "</svg>" : format == "pdf" ? "%%EOF" : "IEND";
  std::ifstream in(picture, std::ios::binary | std::ios::ate);
  if (!in) return false;
  const std::streamoff size = in.tellg();
  std::string tail(static_cast<std::size_t>(std::min<std::streamoff>(size, 32)), '\0');
  in.seekg(-static_cast<std::streamoff>(tail.size()), std::ios::end);
  in.read(tail.data(), static_cast<std::streamsize>(tail.size()));
  return in && tail.find(mark) != std::string::npos;
}

}  // namespace

LayoutResult run_layout(const fs::path& folder, std::string_view format, std::chrono::milliseconds budget) {
  const fs::path helper = find_helper();
  if (helper.empty()) return {LayoutEnd::no_helper, "the program weft-layout was not found"};
  const fs::path picture = folder / "picture", messages = folder / "messages";
  std::error_code ignored;
  fs::remove(picture, ignored);

  // The helper limits its own processor time too, should this process end first.
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(budget).count() + 1;
  std::array<std::string, 5> arguments = {helper.string(), std::string(format),
                                          (folder / "graph.dot").string(), picture.string(),
                                          std::to_string(seconds)};
  std::array<char*, 6> argv{};
  std::transform(arguments.begin(), arguments.end(), argv.begin(),
                 [](std::string& text) { return text.data(); });

  const auto deadline = Clock::now() + budget;
  const SpawnSettings settings(messages);
  pid_t child = 0;
  const int error =
      ::posix_spawn(&child, helper.c_str(), &settings.actions, &settings.attributes, argv.data(), environ);
  if (error)
    return {LayoutEnd::no_helper, fmt::format("cannot start {}: {}", helper.string(), std::strerror(error))};
  const std::optional<int> status = wait_until(child, deadline);
  if (!status) {
    kill_group(child);
    return {LayoutEnd::timed_out};
  }
  const int exit_code = WIFEXITED(*status) ? WEXITSTATUS(*status) : -1;
  constexpr int lowered_resolution = 3;  // as weft_layout.cpp says
  if ((exit_code == 0 || exit_code == lowered_resolution) && is_complete(picture, format)) {
    return {exit_code == 0 ? LayoutEnd::drawn : LayoutEnd::small_raster};
  }
  const std::string said = first_line(messages);
  return {LayoutEnd::failed, !said.empty() ? said
                             : WIFSIGNALED(*status)
                                 ? fmt::format("weft-layout was ended by signal {}", WTERMSIG(*status))
                                 : "weft-layout wrote no complete picture"};
}

}  // namespace weft::diagram
