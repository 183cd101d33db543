// Files that appear only when they are complete.
#pragma once

#include <filesystem>
#include <string_view>

namespace weft::diagram {

[[noreturn]] void throw_unwritable(const std::filesystem::path& file, int error);

// A folder beside the file that is to be made, gone at the end: what is complete is renamed from there.
class WorkFolder {
 public:
  explicit WorkFolder(const std::filesystem::path& file);
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;
  ~WorkFolder();
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

void move_into_place(const std::filesystem::path& made, const std::filesystem::path& file);

}  // namespace weft::diagram
