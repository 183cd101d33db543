// Text files, written whole or not at all.
#pragma once

#include <string>
#include <string_view>

namespace weft {

// Replaces the file. Throws FileError and leaves what was there.
void write_text_file(const std::string& path, std::string_view text);

}  // namespace weft
