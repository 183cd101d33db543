// safetensors and npz, round trips of every dtype, shape and name, reading in a helper process, links,
// damage.
#include "weft/tensor_file.hpp"

#include <fmt/format.h>
#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "file_support.hpp"
#include "weft/hdf5.hpp"
#include "weft/random.hpp"

using namespace weft;
using Catch::Matchers::Contains;

namespace {

using Strings = std::vector<std::string>;

std::vector<NamedTensor> every_kind() {
  std::vector<NamedTensor> all;
  for (const DType dtype : {DType::f32, DType::f64, DType::i32, DType::i64, DType::u8, DType::boolean}) {
    for (const Shape& shape : {Shape{}, Shape{0}, Shape{3}, Shape{2, 0, 4}, Shape{2, 3, 1, 2, 1, 3, 2, 1}}) {
      all.emplace_back(fmt::format("{}/{}", name(dtype), all.size()), counting(shape, dtype));
    }
  }
  all.emplace_back("größe/层/é", counting({2}, DType::f32));
  all.emplace_back("limits", Tensor::of<std::int64_t>({2}, {INT64_MIN, INT64_MAX}));
  all.emplace_back("special", Tensor::of<double>({4}, {NAN, INFINITY, -0.0, 5e-324}));
  return all;
}

bool same_bytes(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         std::string_view(static_cast<const char*>(a.data()), a.bytes()) ==
             std::string_view(static_cast<const char*>(b.data()), b.bytes());
}

void write(FileKind kind, const std::string& file, const std::vector<NamedTensor>& tensors) {
  if (kind == FileKind::hdf5) write_tensors(file, tensors);
  if (kind == FileKind::safetensors) write_safetensors(file, tensors);
  if (kind == FileKind::npz) write_npz(file, tensors, true);
}

// Everything in a file, whatever it is; what comes out is a FileError or nothing.
void read_all(const std::string& path, const ReadOptions& options) {
  const TensorFile file(path, options);
  for (const FileObject& object : file.objects()) {
    file.attributes(object.name);
    if (object.kind == FileObject::Kind::tensor) file.read(object.name);
    if (object.kind == FileObject::Kind::strings) file.read_strings(object.name);
  }
}

}  // namespace

TEST_CASE("round trips are exact for every dtype, shape and name", "[tensor_file]") {
  const TemporaryFolder folder;
  const std::string file = folder / "t";
  const FileKind kind = GENERATE(FileKind::hdf5, FileKind::safetensors, FileKind::npz);
  const bool isolated = GENERATE(false, true);
  const auto tensors = every_kind();
  write(kind, file, tensors);
  const TensorFile read(file, {.isolated = isolated});
  CHECK(read.kind() == kind);
  for (const auto& [name, tensor] : tensors) {
    INFO(name);
    CHECK(read.type(name) == TensorType{tensor.shape(), tensor.dtype()});
    CHECK(same_bytes(read.read(name), tensor));
    if (tensor.rank() > 0 && tensor.extent(0) > 1) CHECK(read.read_rows(name, 1, 1).extent(0) == 1);
  }
  CHECK_FALSE(read.contains("no"));
  CHECK_THAT(error_of([&] { read.read("no"); }),
             Contains(file + ": data set 'no' is missing; the file has: "));
  CHECK(folder.names() == Strings{"t"});
}

TEST_CASE("rows of npz and safetensors are those of the whole", "[tensor_file]") {
  const TemporaryFolder folder;
  const std::vector<NamedTensor> tensors{{"x", counting({6, 2}, DType::i32)}};
  const FileKind kind = GENERATE(FileKind::safetensors, FileKind::npz);
  write(kind, folder / "t", tensors);
  CHECK(is_same(read_rows(folder / "t", "x", 2, 3), Tensor::of<std::int32_t>({3, 2}, {4, 5, 6, 7, 8, 9})));
  CHECK(error_of([&] { read_rows(folder / "t", "x", 5, 2); }) ==
        folder / "t" + ": data set 'x' has 6 rows, needed 2 from row 5 on");
}

TEST_CASE("attributes, strings and chunks come back", "[tensor_file][hdf5]") {
  const TemporaryFolder folder;
  const std::string file = folder / "t.h5";
  Hdf5Writer writer(file);
  writer.write("x", counting({64, 3}, DType::f32), {.compression = 4, .chunk_rows = 16});
  writer.set_attribute("x", "unit", std::string("µm"));
  writer.set_attribute("x", "scale", Tensor::scalar(0.5, DType::f64));
  writer.set_attribute("", "names", Strings{"a", "", "ü"});
  writer.set_attribute("", "names", Strings{"b"});
  writer.write_strings("words", {"one", "zwei"});
  writer.commit();
  const bool isolated = GENERATE(false, true);
  const TensorFile read(file, {.isolated = isolated});
  CHECK(read.object("x").chunk_rows == 16);
  CHECK(read.object("x").storage == "chunks of (16, 3), shuffle, deflate");
  const FileAttributes of_x = read.attributes("x"), of_file = read.attributes();
  CHECK(std::get<std::string>(*TensorFile::find(of_x, "unit")) == "µm");
  CHECK(std::get<Tensor>(*TensorFile::find(of_x, "scale")).item() == 0.5);
  CHECK(std::get<Strings>(*TensorFile::find(of_file, "names")) == Strings{"b"});
  CHECK(read.read_strings("words") == Strings{"one", "zwei"});
  CHECK_THAT(error_of([&] { read.read_strings("x"); }),
             Contains("has floating-point numbers, needed strings"));
}

TEST_CASE("weft and NumPy read one another's npz", "[tensor_file]") {
  if (!has_h5py()) return;
  const TemporaryFolder folder;
  write_npz(folder / "t.npz", std::vector<NamedTensor>{{"a", counting({2, 3}, DType::f64)},
                                                       {"b", Tensor::of<bool>({2}, {true, false})},
                                                       {"s", Tensor::scalar(7, DType::u8)}});
  REQUIRE(python(R"(
f = np.load(path)
assert (f['a'] == [[0, 1, 2], [3, 4, 5]]).all() and f['a'].dtype == np.float64
assert f['b'].tolist() == [True, False] and f['s'] == 7 and f['s'].shape == ()
np.savez(path + '.2', fortran=np.asfortranarray(np.arange(6.).reshape(2, 3)), big=np.array([1, 2], '>i2'),
         half=np.array([1.5, -2], np.float16), text=np.array(['x']), u64=np.array([1], np.uint64),
         pairs=np.zeros(1, 'f4,i4'))
)",
                 folder / "t.npz"));
  const TensorFile file(folder / "t.npz.2.npz");
  CHECK(is_same(file.read("fortran"), counting({2, 3}, DType::f64)));
  CHECK(is_same(file.read_rows("fortran", 1, 1), Tensor::of<double>({1, 3}, {3, 4, 5})));
  CHECK(is_same(file.read("big"), Tensor::of<std::int32_t>({2}, {1, 2})));
  CHECK(is_same(file.read("half"), Tensor::of<float>({2}, {1.5f, -2})));
  CHECK_THAT(error_of([&] { file.read("text"); }),
             Contains("data set 'text' has elements '<U1', needed numbers"));
  CHECK_THAT(error_of([&] { file.read("u64"); }), Contains("has integers that do not fit into i64"));
  CHECK_THAT(error_of([&] { file.read("pairs"); }), Contains("has compounds, needed numbers"));
}

TEST_CASE("a safetensors file is what its format says", "[tensor_file]") {
  const TemporaryFolder folder;
  const std::string file = folder / "t.safetensors";
  const std::pair<std::string, std::string> about{"made", "by weft"};
  write_safetensors(file, std::vector<NamedTensor>{{"w", Tensor::of<float>({2}, {1, -2})}},
                    std::span(&about, 1));
  // Written out by hand from the format's description.
  const std::string header =
      R"({"__metadata__":{"made":"by weft"},"w":{"data_offsets":[0,8],"dtype":"F32","shape":[2]}})";
  const std::string padded = header + std::string((8 - header.size() % 8) % 8, ' ');
  CHECK(text_of(file) == std::string{static_cast<char>(padded.size()), 0, 0, 0, 0, 0, 0, 0} + padded +
                             std::string("\x00\x00\x80\x3f\x00\x00\x00\xc0", 8));
  CHECK(std::get<std::string>(TensorFile(file).attributes()[0].second) == "by weft");

  const auto error = [&](const std::string& json) {
    const std::string length{static_cast<char>(json.size()), 0, 0, 0, 0, 0, 0, 0};
    write_text(file, length + json + std::string(8, '\1'));
    return error_of([&] { TensorFile(file).read("w"); });
  };
  CHECK(error(R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,9]}})") ==
        file + ": data set 'w' lies at (0, 9), the file has 8 bytes of elements");
  CHECK(error(R"({"w":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})") ==
        file + ": data set 'w' has 8 bytes for 3 elements of F32");
  CHECK_THAT(error(R"({"w":{"dtype":"F32","shape":[-1],"data_offsets":[0,8]}})"),
             Contains("something that is no size"));
  CHECK(error(R"({"w":{"dtype":"F8","shape":[8],"data_offsets":[0,8]}})") ==
        file + ": data set 'w' has elements of the unknown type 'F8'");
  CHECK_THAT(error(R"({"w":)"), Contains("has a header that is no JSON"));
  CHECK_THAT(error(R"({"w":[[[[[[1]]]]]]})"), Contains("nested too deep"));
  CHECK_THAT(error(R"({"w":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"w":{}})"),
             Contains("is there twice"));
  CHECK(error(R"({"w":{"dtype":"BF16","shape":[4],"data_offsets":[0,8]}})") == "nothing was thrown");
}

TEST_CASE("no link leaves the file", "[tensor_file][hdf5]") {
  if (!has_h5py()) return;
  const TemporaryFolder folder;
  const std::string file = folder / "t.h5";
  REQUIRE(python(R"(
g = h5py.File(path + '.other', 'w'); g['secret'] = np.arange(3); g.close()
f = h5py.File(path, 'w')
f['x'] = np.arange(3)
f['out'] = h5py.ExternalLink(path + '.other', '/secret')
f['out_root'] = h5py.ExternalLink(path + '.other', '/')
f['soft_out'] = h5py.SoftLink('/out_root/secret')
f['soft'] = h5py.SoftLink('/x')
f['nowhere'] = h5py.SoftLink('/nothing')
f['a'] = h5py.SoftLink('/b'); f['b'] = h5py.SoftLink('/a')
group = f.create_group('ring'); group['again'] = group
f.create_dataset('external', (3,), 'i8', external=[(path + '.other', 0, 24)])
layout = h5py.VirtualLayout((3,), 'i8'); layout[:] = h5py.VirtualSource(path + '.other', 'secret', (3,))
f.create_virtual_dataset('virtual', layout)
)",
                 file));
  const bool isolated = GENERATE(false, true);
  const TensorFile read(file, {.isolated = isolated});
  const auto error = [&](const char* name) { return error_of([&] { read.read(name); }); };
  const std::string is_link = "is a link to another file, which is not followed";
  CHECK(error("out") == file + ": data set 'out' " + is_link);
  CHECK(error("out_root/secret") == file + ": data set 'out_root' " + is_link);
  CHECK_THAT(error("soft_out"), Contains("data set 'soft_out' is a link to '/out_root/secret'"));
  CHECK_THAT(error("nowhere"), Contains("is a link to '/nothing', which leads to nothing in this file"));
  CHECK_THAT(error("a"), Contains("is a link to '/b', which leads to nothing in this file"));
  CHECK_THAT(error("external"), Contains("has its elements in another file, which is not read"));
  CHECK_THAT(error("virtual"), Contains("is virtual: it shows other data sets"));
  CHECK(read.read("soft").elements() == 3);
  CHECK_THAT(error("ring/again"), Contains("is a group, needed a data set"));
  CHECK_NOTHROW(read.objects());
}

TEST_CASE("a tensor larger than allowed is an error", "[tensor_file]") {
  const TemporaryFolder folder;
  const std::string file = folder / "t";
  const FileKind kind = GENERATE(FileKind::hdf5, FileKind::safetensors, FileKind::npz);
  write(kind, file, {{"x", Tensor::zeros({1000})}});
  const bool isolated = GENERATE(false, true);
  const TensorFile read(file, {.isolated = isolated, .max_bytes = 3999});
  CHECK(error_of([&] { read.read("x"); }) ==
        file + ": data set 'x' is f32[1000], which is more than the 3999 bytes allowed");
  CHECK(read.read_rows("x", 0, 999).elements() == 999);
}

TEST_CASE("a damaged file is an error, and in isolation harms nobody", "[tensor_file]") {
  const TemporaryFolder folder;
  const std::string file = folder / "t";
  const FileKind kind = GENERATE(FileKind::hdf5, FileKind::safetensors, FileKind::npz);
  write(kind, file, {{"group/x", counting({100}, DType::f32)}, {"y", counting({2, 2}, DType::i64)}});
  const std::string whole = text_of(file);
  Random random(3);
  for (int i = 0; i < 60; ++i) {
    std::string damaged = whole;
    for (int flips = 0; flips < 3; ++flips)
      damaged[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(whole.size())))] ^=
          static_cast<char>(1 << random.below(8));
    if (i % 3 == 0)
      damaged.resize(static_cast<std::size_t>(random.below(static_cast<std::int64_t>(whole.size()))));
    write_text(file, damaged);
    try {
      read_all(file, {.isolated = true, .seconds = 10, .max_bytes = 1 << 20});
    } catch (const FileError& error) {
      CHECK_THAT(error.what(), Contains(file));
    }
  }
}

TEST_CASE("the death of the reader helper, and its slowness, are file errors", "[tensor_file]") {
  const TemporaryFolder folder;
  const std::string file = folder / "t.h5";
  write_tensors(file, {{"x", counting({3}, DType::f32)}});
  const auto with_helper = [&](const std::string& script) {
    write_text(folder / "helper", "#!/bin/sh\n" + script + "\n");
    std::filesystem::permissions(folder / "helper", std::filesystem::perms::owner_all);
    ::setenv("WEFT_READER", (folder / "helper").c_str(), 1);
    const std::string error = error_of([&] { TensorFile(file, {.isolated = true, .seconds = 0.3}); });
    ::unsetenv("WEFT_READER");
    return error;
  };
  CHECK(with_helper("kill -SEGV $$") == file +
                                            ": cannot be read: the reader helper crashed (Segmentation "
                                            "fault); the file is damaged or too large");
  CHECK(with_helper("exit 0") ==
        file + ": cannot be read: the reader helper ended; the file is damaged or too large");
  CHECK(with_helper("exec sleep 30") ==
        file + ": cannot be read: the reader helper took more than 0.3 s; the file is damaged or too large");
  CHECK(with_helper("printf '\\003\\000\\000\\000abc' >&3; exec sleep 30") ==
        file + ": cannot be read: the reader helper gave a damaged answer");
  CHECK(with_helper("printf '\\377\\377\\377\\377' >&3; exec sleep 30") ==
        file +
            ": cannot be read: the reader helper gave too long an answer; the file is damaged or too large");
  write_text(file, "no tensors");
  CHECK_THAT(error_of([&] { TensorFile(file, {.isolated = true}); }),
             Contains("is no HDF5, safetensors or npz file"));
  CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);  // no helper is left, running or dead
}
