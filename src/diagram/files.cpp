#include "diagram/files.hpp"

#include <fmt/format.h>
#include <stdlib.h>

#include <cerrno>
#include <system_error>

#include "weft/error.hpp"

namespace weft::diagram {

namespace fs = std::filesystem;

void throw_unwritable(const fs::path& file, int error) {
  throw FileError(fmt::format("save_diagram: cannot write {}: {}", file.string(),
                              std::generic_category().message(error)));
}

WorkFolder::WorkFolder(const fs::path& file) {
  const fs::path parent = file.has_parent_path() ? file.parent_path() : ".";
  std::string name = (parent / ".weft-XXXXXX").string();
  if (!::mkdtemp(name.data())) throw_unwritable(file, errno);
  path_ = name;
}

WorkFolder::~WorkFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

void move_into_place(const fs::path& made, const fs::path& file) {
  std::error_code error;
  fs::rename(made, file, error);
  if (error) throw_unwritable(file, error.value());
}

}  // namespace weft::diagram
