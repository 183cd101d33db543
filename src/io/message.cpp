#include "io/message.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace weft::io {

namespace {

constexpr std::uint32_t most_message_bytes = 64 << 20;
constexpr int deepest_message = 8;

// Waits until `socket` can be read; false at the deadline.
bool wait_readable(int socket, std::optional<std::chrono::steady_clock::time_point> deadline) {
  for (;;) {
    int milliseconds = -1;
    if (deadline) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(*deadline - std::chrono::steady_clock::now());
      milliseconds = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1 << 30));
    }
    pollfd poll{socket, POLLIN, 0};
    const int ready = ::poll(&poll, 1, milliseconds);
    if (ready > 0) return true;
    if (ready == 0 && milliseconds <= 0) return false;
    if (ready < 0 && errno != EINTR) return true;  // recv will say what is wrong
  }
}

Received receive_all(int socket, std::optional<std::chrono::steady_clock::time_point> deadline, char* to,
                     std::size_t size) {
  while (size > 0) {
    if (!wait_readable(socket, deadline)) return Received::late;
    const ssize_t got = ::recv(socket, to, size, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return Received::end;
    to += got;
    size -= static_cast<std::size_t>(got);
  }
  return Received::message;
}

bool send_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

}  // namespace

std::string to_text(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      text += c;
    } else {
      text += static_cast<char>(0xC0 | byte >> 6);
      text += static_cast<char>(0x80 | (byte & 0x3F));
    }
  }
  return text;
}

std::string to_bytes(const std::string& text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const bool is_pair = (lead & 0xE0) == 0xC0 && i + 1 < text.size();
    bytes += is_pair ? static_cast<char>((lead & 3) << 6 | (text[i + 1] & 0x3F)) : text[i];
    i += is_pair;
  }
  return bytes;
}

Json encode(const TensorType& type) {
  return {{"dtype", static_cast<int>(type.dtype)},
          {"shape", std::vector<std::int64_t>(type.shape.begin(), type.shape.end())}};
}

TensorType decode_type(const std::string& file, const Json& json) {
  const int dtype = json.at("dtype").get<int>();
  if (dtype < 0 || dtype > static_cast<int>(DType::boolean)) fail(file, "", "has an unknown dtype");
  const auto extents = json.at("shape").get<std::vector<std::int64_t>>();
  return {require_shape(file, "", extents), static_cast<DType>(dtype)};
}

Json encode(const FileObject& object) {
  Json json = encode(TensorType{object.shape, object.dtype});
  json["name"] = to_text(object.name);
  json["kind"] = static_cast<int>(object.kind);
  json["chunk_rows"] = object.chunk_rows;
  json["storage"] = to_text(object.storage);
  return json;
}

FileObject decode_object(const std::string& file, const Json& json) {
  const TensorType type = decode_type(file, json);
  const int kind = json.at("kind").get<int>();
  if (kind < 0 || kind > static_cast<int>(FileObject::Kind::other)) fail(file, "", "has an unknown object");
  return {.name = to_bytes(json.at("name").get<std::string>()),
          .kind = static_cast<FileObject::Kind>(kind),
          .shape = type.shape,
          .dtype = type.dtype,
          .chunk_rows = std::max<std::int64_t>(json.at("chunk_rows").get<std::int64_t>(), 0),
          .storage = to_bytes(json.at("storage").get<std::string>())};
}

Json encode(const FileAttributes& attributes) {
  Json list = Json::array();
  for (const auto& [name, value] : attributes) {
    Json json = {{"name", to_text(name)}};
    if (const auto* text = std::get_if<std::string>(&value)) {
      json["text"] = to_text(*text);
    } else if (const auto* strings = std::get_if<std::vector<std::string>>(&value)) {
      json["strings"] = Json::array();
      for (const std::string& string : *strings) json["strings"].push_back(to_text(string));
    } else {
      const auto& tensor = std::get<Tensor>(value);
      json["type"] = encode(TensorType{tensor.shape(), tensor.dtype()});
      json["bytes"] = to_text({static_cast<const char*>(tensor.data()), tensor.bytes()});
    }
    list.push_back(std::move(json));
  }
  return list;
}

FileAttributes decode_attributes(const std::string& file, const Json& json) {
  FileAttributes attributes;
  for (const Json& entry : json) {
    const std::string name = to_bytes(entry.at("name").get<std::string>());
    if (entry.contains("text")) {
      attributes.emplace_back(name, to_bytes(entry["text"].get<std::string>()));
    } else if (entry.contains("strings")) {
      auto strings = entry["strings"].get<std::vector<std::string>>();
      for (std::string& text : strings) text = to_bytes(text);
      attributes.emplace_back(name, std::move(strings));
    } else {
      const TensorType type = decode_type(file, entry.at("type"));
      const std::string bytes = to_bytes(entry.at("bytes").get<std::string>());
      const auto size = static_cast<std::int64_t>(size_of(type.dtype));
      if (static_cast<std::int64_t>(bytes.size()) / size != type.shape.elements())
        fail(file, "", "has an attribute of another size than its shape");
      Tensor tensor(type.shape, type.dtype);
      if (!bytes.empty()) std::memcpy(tensor.mutable_data(), bytes.data(), tensor.bytes());
      make_valid(tensor);
      attributes.emplace_back(name, std::move(tensor));
    }
  }
  return attributes;
}

Json parse_message(std::string_view text) {
  const auto limit_depth = [](int depth, Json::parse_event_t, Json&) {
    if (depth > deepest_message) throw FileError("a message that is nested too deep");
    return true;
  };
  return Json::parse(text, limit_depth);
}

bool send_message(int socket, const Json& json) {
  const std::string text = json.dump();
  const auto length = static_cast<std::uint32_t>(text.size());
  if (text.size() > most_message_bytes) return false;
  return send_all(socket, {reinterpret_cast<const char*>(&length), sizeof length}) && send_all(socket, text);
}

Received receive_message(int socket, std::optional<std::chrono::steady_clock::time_point> deadline,
                         std::string& text) {
  std::uint32_t length = 0;
  const Received begun = receive_all(socket, deadline, reinterpret_cast<char*>(&length), sizeof length);
  if (begun != Received::message) return begun;
  if (length > most_message_bytes) return Received::too_long;
  text.resize(length);
  return receive_all(socket, deadline, text.data(), length);
}

bool put_bytes(int memory, const Tensor& tensor) {
  const auto* from = static_cast<const char*>(tensor.data());
  for (std::size_t done = 0; done < tensor.bytes();) {
    const ssize_t wrote = ::pwrite(memory, from + done, std::min<std::size_t>(tensor.bytes() - done, 1 << 30),
                                   static_cast<off_t>(done));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return false;
    done += static_cast<std::size_t>(wrote);
  }
  return true;
}

bool take_bytes(int memory, Tensor& tensor) {
  auto* to = static_cast<char*>(tensor.mutable_data());
  for (std::size_t done = 0; done < tensor.bytes();) {
    const ssize_t got = ::pread(memory, to + done, std::min<std::size_t>(tensor.bytes() - done, 1 << 30),
                                static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    done += static_cast<std::size_t>(got);
  }
  return true;
}

}  // namespace weft::io
