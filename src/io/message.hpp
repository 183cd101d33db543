// What a TensorFile and its reader helper tell each other: JSON texts over a socket, each after its length.
// Bytes of names and strings, which need not be UTF-8, travel as the code points of the same number.
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "io/file_reader.hpp"

namespace weft::io {

using Json = nlohmann::json;

constexpr int helper_socket = 3, helper_memory = 4;  // descriptors of the helper

std::string to_text(std::string_view bytes);
std::string to_bytes(const std::string& text);

Json encode(const FileObject& object);
Json encode(const FileAttributes& attributes);
Json encode(const TensorType& type);
// These throw Json::exception or FileError for what `encode` does not make. `file` is named in errors.
FileObject decode_object(const std::string& file, const Json& json);
FileAttributes decode_attributes(const std::string& file, const Json& json);
TensorType decode_type(const std::string& file, const Json& json);

// Throws Json::exception for a text that is no JSON, or nested deeper than a message is.
Json parse_message(std::string_view text);

bool send_message(int socket, const Json& json);  // false: the other side is gone
enum class Received : std::uint8_t { message, end, late, too_long };
// Puts a text into `text` where one arrives before the deadline; none: waits for ever.
Received receive_message(int socket, std::optional<std::chrono::steady_clock::time_point> deadline,
                         std::string& text);

// The whole of a tensor's bytes to or from the shared memory; false where that fails.
bool put_bytes(int memory, const Tensor& tensor);
bool take_bytes(int memory, Tensor& tensor);

}  // namespace weft::io
