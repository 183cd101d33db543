// weft-reader FILE MAX_BYTES MEMORY SECONDS: reads a file for a process that does not want to be harmed by
// it. Is asked over descriptor 3, answers there, and leaves tensors in the memory behind descriptor 4. A
// crash here is an error there.
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <new>
#include <string>

#include "io/message.hpp"

#if defined(__SANITIZE_ADDRESS__)
#define WEFT_RESERVES_ADDRESSES
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEFT_RESERVES_ADDRESSES
#endif
#endif

namespace weft {

namespace {

void limit(int resource, std::int64_t most) {
  const rlimit value{static_cast<rlim_t>(most), static_cast<rlim_t>(most)};
  ::setrlimit(static_cast<__rlimit_resource_t>(resource), &value);
}

io::Json put(const Tensor& tensor) {
  if (!io::put_bytes(io::helper_memory, tensor)) throw FileError("the shared memory is full");
  return io::encode(TensorType{tensor.shape(), tensor.dtype()});
}

io::Json answer(FileReader& reader, const io::Json& request) {
  const auto what = request.at("do").get<std::string>();
  const std::string name = io::to_bytes(request.value("name", ""));
  io::Json json = io::Json::object();
  if (what == "read") return put(reader.read(name));
  if (what == "read_rows")
    return put(reader.read_rows(name, request.at("first").get<std::int64_t>(),
                                request.at("count").get<std::int64_t>()));
  if (what == "objects") {
    json["objects"] = io::Json::array();
    for (const FileObject& object : reader.objects()) json["objects"].push_back(io::encode(object));
  } else if (what == "object") {
    json["object"] = io::encode(reader.object(name));
  } else if (what == "contains") {
    json["found"] = static_cast<int>(reader.contains(name));
  } else if (what == "attributes") {
    json["attributes"] = io::encode(reader.attributes(name));
  } else if (what == "read_strings") {
    json["strings"] = io::Json::array();
    for (const std::string& text : reader.read_strings(name)) json["strings"].push_back(io::to_text(text));
  } else {
    json["kind"] = static_cast<int>(reader.kind());
  }
  return json;
}

// The file is opened by the first request, so that a failure has someone to be told to.
void serve(const std::string& file, std::int64_t max_bytes, unsigned seconds) {
  std::unique_ptr<FileReader> reader;
  std::string text;
  while (io::receive_message(io::helper_socket, std::nullopt, text) == io::Received::message) {
    ::alarm(seconds);  // should nobody be left to end this process
    io::Json reply;
    try {
      const io::Json request = io::parse_message(text);
      if (!reader) reader = open_reader(file, {.max_bytes = max_bytes});
      reply = answer(*reader, request);
    } catch (const std::bad_alloc&) {
      reply = {{"error", io::to_text(file) + ": needs more memory than the reader helper may have"}};
    } catch (const std::exception& error) {
      reply = {{"error", io::to_text(error.what())}};
    }
    ::alarm(0);
    if (!io::send_message(io::helper_socket, reply)) return;
  }
}

}  // namespace

}  // namespace weft

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  weft::limit(RLIMIT_CORE, 0);
#ifndef WEFT_RESERVES_ADDRESSES
  weft::limit(RLIMIT_AS, std::atoll(argv[3]));
#endif
  weft::limit(RLIMIT_FSIZE, std::atoll(argv[2]));
  weft::serve(argv[1], std::atoll(argv[2]), static_cast<unsigned>(std::atoi(argv[4])));
  // Without destructors: HDF5's would walk through what a damaged file left behind.
  ::_exit(0);
}
