// npz: a zip archive whose entries NAME.npy are arrays.
#include <fmt/format.h>
#include <zip.h>

#include <algorithm>
#include <memory>

#include "io/npy.hpp"

namespace weft {

namespace {

constexpr zip_int64_t most_entries = 1'000'000;

struct CloseEntry {
  void operator()(zip_file_t* entry) const { zip_fclose(entry); }
};
using Entry = std::unique_ptr<zip_file_t, CloseEntry>;

struct Discard {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
using Archive = std::unique_ptr<zip_t, Discard>;

std::string text_of(zip_error_t& error) {
  std::string text = zip_error_strerror(&error);
  zip_error_fini(&error);
  return text;
}

class NpzReader final : public io::PlainReader {
 public:
  NpzReader(const std::string& file, std::int64_t max_bytes) : PlainReader(file, max_bytes) {
    int code = 0;
    archive_.reset(zip_open(file.c_str(), ZIP_RDONLY | ZIP_CHECKCONS, &code));
    if (!archive_) {
      zip_error_t error;
      zip_error_init_with_code(&error, code);
      fail("", fmt::format("is no zip archive, or damaged: {}", text_of(error)));
    }
    const zip_int64_t count = std::min(zip_get_num_entries(archive_.get(), 0), most_entries);
    for (zip_int64_t i = 0; i < count; ++i) add_entry(static_cast<zip_uint64_t>(i));
  }
  FileKind kind() const override { return FileKind::npz; }
  FileAttributes attributes(const std::string& name) override {
    if (!name.empty()) find(name);
    return {};
  }

 private:
  void add_entry(zip_uint64_t index) {
    zip_stat_t stat;
    zip_stat_init(&stat);
    const zip_uint64_t needed = ZIP_STAT_NAME | ZIP_STAT_SIZE;
    if (zip_stat_index(archive_.get(), index, 0, &stat) != 0 || (stat.valid & needed) != needed)
      fail("", fmt::format("has an entry {} that cannot be read", index));
    Array array;
    array.object.name = stat.name;
    array.object.storage = "stored";
    array.position = index;
    if (array.object.name.ends_with(".npy")) array.object.name.resize(array.object.name.size() - 4);
    if ((stat.valid & ZIP_STAT_COMP_METHOD) && stat.comp_method != ZIP_CM_STORE)
      array.object.storage = "deflate";
    describe(array, stat.size);
    add(std::move(array));
  }

  void describe(Array& array, zip_uint64_t size) {
    const Entry entry = open(array);
    std::string begin(std::min<std::uint64_t>(size, io::most_npy_header_bytes), '\0');
    begin.resize(read_some(array, *entry, begin));
    const io::NpyHeader header = io::parse_npy_header(begin);
    array.element = header.element;
    array.skipped = header.bytes;
    array.column_major = header.column_major;
    array.object.kind = FileObject::Kind::other;
    if (!header.problem.empty()) {
      array.object.storage = header.problem;
      return;
    }
    array.object.shape = io::require_shape(file_, array.object.name, header.shape);
    const auto dtype = io::dtype_of(array.element);
    if (!dtype) {
      array.object.storage = "has integers that do not fit into i64";
      return;
    }
    const auto count = static_cast<std::uint64_t>(array.object.shape.elements());
    if ((size - header.bytes) % static_cast<std::uint64_t>(array.element.bytes) != 0 ||
        (size - header.bytes) / static_cast<std::uint64_t>(array.element.bytes) != count) {
      fail(array.object.name, fmt::format("has {} bytes for {} elements of {} bytes", size - header.bytes,
                                          count, array.element.bytes));
    }
    array.object.kind = FileObject::Kind::tensor;
    array.object.dtype = *dtype;
  }

  Entry open(const Array& array) const {
    Entry entry(zip_fopen_index(archive_.get(), array.position, 0));
    if (!entry) fail(array.object.name, fmt::format("cannot be read: {}", zip_strerror(archive_.get())));
    return entry;
  }

  // Up to all of `to`; how much there was.
  std::size_t read_some(const Array& array, zip_file_t& entry, std::string& to) const {
    std::size_t done = 0;
    while (done < to.size()) {
      const zip_int64_t got = zip_fread(&entry, to.data() + done, to.size() - done);
      if (got < 0)
        fail(array.object.name,
             fmt::format("cannot be read, the file is damaged: {}", zip_file_strerror(&entry)));
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

  // What is in front is read and forgotten; the checksum is compared where the entry is read to its end.
  void load(const Array& array, std::uint64_t first, std::string& to) override {
    const Entry entry = open(array);
    std::string piece;
    for (std::uint64_t left = array.skipped + first; left > 0; left -= piece.size()) {
      piece.resize(std::min<std::uint64_t>(left, 1 << 16));
      if (read_some(array, *entry, piece) != piece.size()) fail(array.object.name, "is cut off");
    }
    if (read_some(array, *entry, to) != to.size()) fail(array.object.name, "is cut off");
    piece.resize(1);
    const auto whole = static_cast<std::uint64_t>(array.object.shape.elements()) *
                       static_cast<std::uint64_t>(array.element.bytes);
    if (first + to.size() == whole) read_some(array, *entry, piece);  // the end: libzip checks
  }

  Archive archive_;
};

// The archive in memory, so that writing it is one plain write.
class NpzWriter {
 public:
  explicit NpzWriter(const std::string& file) : file_(file) {
    source_ = zip_source_buffer_create(nullptr, 0, 0, nullptr);
    zip_error_t error;
    zip_error_init(&error);
    archive_.reset(zip_open_from_source(source_, ZIP_TRUNCATE, &error));
    if (!archive_) io::fail(file_, "", fmt::format("cannot be written: {}", text_of(error)));
    zip_source_keep(source_);
  }
  NpzWriter(const NpzWriter&) = delete;
  ~NpzWriter() { zip_source_free(source_); }

  void add(const std::string& name, const Tensor& tensor, bool compressed) {
    if (!tensor.defined()) io::fail(file_, name, "cannot be written: its tensor is empty");
    std::string& bytes =
        contents_
            .emplace_back(std::make_unique<std::string>(io::npy_header({tensor.shape(), tensor.dtype()})))
            .
            operator*();
    if (tensor.bytes() > 0) bytes.append(static_cast<const char*>(tensor.data()), tensor.bytes());
    zip_source_t* source = zip_source_buffer(archive_.get(), bytes.data(), bytes.size(), 0);
    const std::string entry = name + ".npy";
    const zip_int64_t index =
        source ? zip_file_add(archive_.get(), entry.c_str(), source, ZIP_FL_ENC_UTF_8) : -1;
    if (index < 0) {
      if (source) zip_source_free(source);
      io::fail(file_, name, fmt::format("cannot be written: {}", zip_strerror(archive_.get())));
    }
    zip_set_file_compression(archive_.get(), static_cast<zip_uint64_t>(index),
                             compressed ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0);
  }

  void commit() {
    if (zip_close(archive_.get()) != 0)
      io::fail(file_, "", fmt::format("cannot be written: {}", zip_strerror(archive_.get())));
    archive_.release();
    zip_stat_t stat;
    zip_stat_init(&stat);
    zip_source_stat(source_, &stat);
    std::string image(stat.size, '\0');
    if (zip_source_open(source_) != 0 ||
        zip_source_read(source_, image.data(), image.size()) != static_cast<zip_int64_t>(image.size())) {
      io::fail(file_, "", "cannot be written: the archive in memory cannot be read");
    }
    zip_source_close(source_);
    const std::string_view whole = image;
    io::replace_file(file_, std::span(&whole, 1));
  }

 private:
  std::string file_;
  zip_source_t* source_ = nullptr;
  std::vector<std::unique_ptr<std::string>> contents_;  // read by zip_close()
  Archive archive_;
};

}  // namespace

std::unique_ptr<FileReader> open_npz(const std::string& file, std::int64_t max_bytes) {
  return std::make_unique<NpzReader>(file, max_bytes);
}

void write_npz(const std::string& file, std::span<const NamedTensor> tensors, bool compressed) {
  NpzWriter writer(file);
  for (const auto& [name, tensor] : tensors) writer.add(name, tensor, compressed);
  writer.commit();
}

}  // namespace weft
