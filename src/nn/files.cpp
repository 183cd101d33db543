#include "nn/files.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "weft/error.hpp"
#include "weft/train.hpp"

namespace weft {

namespace {

// Empty where all went well, else what the system says.
std::string try_to_write(const std::string& path, std::string_view text) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (!file) return std::strerror(errno);
  const bool wrote = std::fwrite(text.data(), 1, text.size(), file) == text.size() && std::fflush(file) == 0;
  const int error = errno;
  const bool closed = std::fclose(file) == 0;
  return wrote && closed ? std::string() : std::strerror(wrote ? errno : error);
}

}  // namespace

void write_text_file(const std::string& path, std::string_view text) {
  const std::string beside = fmt::format("{}.{}.part", path, ::getpid());
  std::string problem = try_to_write(beside, text);
  if (problem.empty() && std::rename(beside.c_str(), path.c_str()) != 0) problem = std::strerror(errno);
  if (problem.empty()) return;
  std::remove(beside.c_str());
  throw FileError(fmt::format("{}: cannot be written: {}", path, problem));
}

void require_writable_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error || !std::filesystem::is_directory(path, error)) {
    throw FileError(fmt::format("{}: cannot be made a folder: {}", path,
                                error ? error.message() : "a file has its name"));
  }
  const std::string probe = fmt::format("{}/.weft.{}.part", path, ::getpid());
  const std::string problem = try_to_write(probe, "weft");
  std::remove(probe.c_str());
  if (!problem.empty())
    throw FileError(fmt::format("{}: the folder cannot be written into: {}", path, problem));
}

}  // namespace weft
