#include <algorithm>
#include <catch2/catch.hpp>
#include <thread>

#include "weft/weft.hpp"

using namespace weft;

TEST_CASE("a shape says its extents, and refuses absurd ones", "[tensor]") {
  const Shape shape{2, 3, 5};
  CHECK(shape.rank() == 3);
  CHECK(shape.elements() == 30);
  CHECK(shape[-1] == 5);
  CHECK(to_string(shape) == "[2, 3, 5]");
  CHECK(shape.strides() == Ints{15, 5, 1});
  CHECK(Shape{}.elements() == 1);
  CHECK(Shape{0, 3}.elements() == 0);
  CHECK_THROWS_WITH((Shape{2, -1}), "shape [2, -1] has a negative extent");
  CHECK_THROWS_AS((Shape{1'000'000'000'000, 1'000'000'000'000}), ShapeError);
  CHECK_THROWS_AS((Shape{1, 1, 1, 1, 1, 1, 1, 1, 1}), ShapeError);
}

TEST_CASE("tensors share storage until they are cloned", "[tensor]") {
  Tensor a = Tensor::of<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  CHECK(a.is_unique());
  const Tensor view = a.reshape({3, -1});
  CHECK(view.shape() == Shape{3, 2});
  CHECK(view.shares_storage(a));
  CHECK_FALSE(a.is_unique());
  a.mutable_values<float>()[4] = 50;
  CHECK(view.at({2, 0}) == 50);
  CHECK(a.clone().at({1, 1}) == 50);
  CHECK_FALSE(a.clone().shares_storage(a));
  CHECK_THROWS_WITH(a.reshape({4, 2}), "reshape: 6 elements of shape [2, 3] do not fit into (4, 2)");
  CHECK_THROWS_AS(a.reshape({-1, 0}), ShapeError);
}

TEST_CASE("a view outlives the tensor it was made from", "[tensor]") {
  Tensor view;
  {
    const Tensor a = Tensor::full({4}, 7, DType::f64);
    view = a.reshape({2, 2}).reshape({4, 1});
  }
  CHECK(view.at({3, 0}) == 7);
  CHECK(view.is_unique());
}

TEST_CASE("elements convert between all types", "[tensor]") {
  const Tensor a = Tensor::of<double>({4}, {0, 1, 2.75, 200});
  for (const DType from : {DType::f32, DType::f64}) {
    const Tensor x = a.to(from);
    CHECK(x.to(DType::i32).at({2}) == 2);
    CHECK(x.to(DType::i64).at({3}) == 200);
    CHECK(x.to(DType::u8).at({3}) == 200);
    CHECK(x.to(DType::boolean).at({0}) == 0);
    CHECK(x.to(DType::boolean).at({2}) == 1);
    CHECK(x.to(from).shares_storage(x));
  }
}

TEST_CASE("reading elements as another type or outside is an error that says what to do", "[tensor]") {
  const Tensor a = Tensor::zeros({2, 3});
  CHECK_THROWS_WITH(
      a.values<double>(),
      "the tensor is f32[2, 3], its elements were asked for as f64: convert with .to(DType::f64)");
  CHECK_THROWS_AS(a.at({2, 0}), ShapeError);
  CHECK_THROWS_AS(a.at({0}), ShapeError);
  CHECK_THROWS_AS(a.item(), ShapeError);
  CHECK_THROWS_AS(Tensor().shape(), GraphError);
  CHECK_THROWS_AS(Tensor::of<float>({2}, {1, 2, 3}), ShapeError);
}

TEST_CASE("tensors print through fmt, large ones elided", "[tensor]") {
  CHECK(fmt::format("{}", Tensor::of<float>({2, 3}, {1, 2.5, -3, 4, 5, 6})) ==
        "f32[2, 3] {{1, 2.5, -3}, {4, 5, 6}}");
  CHECK(fmt::format("{}", Tensor::scalar(0.1, DType::f64)) == "f64[] 0.1");
  CHECK(fmt::format("{}", Tensor::of<bool>({2}, {true, false})) == "boolean[2] {true, false}");
  CHECK(fmt::format("{}", Tensor::of<std::uint8_t>({2}, {7, 255})) == "u8[2] {7, 255}");
  CHECK(fmt::format("{}", Tensor::zeros({0, 3})) == "f32[0, 3] {}");
  CHECK(fmt::format("{}", Tensor::zeros({2000})) == "f32[2000] {0, 0, 0, ..., 0, 0, 0}");
  CHECK(fmt::format("{}", Shape{2, 3}) == "[2, 3]");
  CHECK(fmt::format("{}", DType::f64) == "f64");
  CHECK(fmt::format("{}", Tensor()) == "(no tensor)");
}

TEST_CASE("tensors of one type share it, whichever way and on whichever thread they were made", "[tensor]") {
  const TensorType* of_a_tensor_that_is_gone = &Tensor({3, 41}, DType::f64).type();
  const Tensor a({3, 41}, DType::f64);
  CHECK(&a.type() == of_a_tensor_that_is_gone);
  CHECK(a.type() == TensorType{{3, 41}, DType::f64});
  CHECK(&Tensor::like(a).type() == &a.type());
  CHECK(&a.reshape({41, 3}).reshape({3, -1}).type() == &a.type());
  CHECK(&Tensor({3, 41}, DType::f32).to(DType::f64).type() == &a.type());
  std::thread([&] { CHECK(&Tensor({3, 41}, DType::f64).type() == &a.type()); }).join();

  // More types than a thread remembers: of any two, the address is one where the type is.
  std::vector<Tensor> tensors;
  for (std::int64_t rows = 0; rows < 40; ++rows) {
    for (const DType dtype : {DType::f32, DType::i32}) {
      for (const Shape& shape : {Shape{rows}, Shape{rows, 1}, Shape{1, rows}})
        tensors.emplace_back(shape, dtype);
    }
  }
  for (const Tensor& x : tensors) {
    CHECK(&Tensor(x.shape(), x.dtype()).type() == &x.type());
    for (const Tensor& y : tensors) {
      const bool alike = x.dtype() == y.dtype() && std::ranges::equal(x.shape(), y.shape());
      if ((&x.type() == &y.type()) != alike) FAIL(to_string(x.type()) << " and " << to_string(y.type()));
    }
  }
}

TEST_CASE("memory goes back to the pool it came from, whichever thread frees it", "[tensor]") {
  release_cached_memory();
  const auto [live, peak, cached, allocations] = memory_statistics();
  Tensor made_here = Tensor::full({1000}, 1);
  std::thread([tensor = std::move(made_here)]() mutable { tensor = {}; }).join();
  Tensor made_there;
  std::thread([&] { made_there = Tensor::full({1000}, 2); }).join();
  CHECK(made_there.at({999}) == 2);
  made_there = {};
  for (int i = 0; i < 100; ++i) CHECK(Tensor::full({1000}, i).at({5}) == i);
  CHECK(memory_statistics().live <= live + 8192);
  release_cached_memory();
  CHECK(memory_statistics().cached == cached);
}

TEST_CASE("memory of small tensors goes back when none of them is left", "[tensor]") {
  release_cached_memory();
  const std::size_t cached = memory_statistics().cached;
  std::vector<Tensor> tensors;
  for (int i = 0; i < 500; ++i) tensors.push_back(Tensor::full({200}, i));
  std::vector<Tensor> left{tensors[3], tensors[499]};
  tensors.clear();
  release_cached_memory();
  CHECK(left[0].at({199}) == 3);
  CHECK(left[1].at({199}) == 499);
  for (int i = 0; i < 500; ++i) tensors.push_back(Tensor::full({200}, 1000 + i));
  CHECK(left[0].at({0}) == 3);
  CHECK(left[1].at({0}) == 499);
  for (int i = 0; i < 500; ++i) CHECK(tensors[static_cast<std::size_t>(i)].at({100}) == 1000 + i);
  left.clear();
  tensors.clear();
  release_cached_memory();
  CHECK(memory_statistics().cached == cached);
}

TEST_CASE("tensors of many sizes do not overlap", "[tensor]") {
  std::vector<Tensor> tensors;
  for (std::int64_t size = 0; size < 400; ++size)
    tensors.push_back(Tensor::full({size * 7}, static_cast<double>(size)));
  for (std::int64_t size = 0; size < 400; ++size) {
    const auto values = tensors[static_cast<std::size_t>(size)].values<float>();
    CHECK(std::ranges::all_of(values, [&](float value) { return value == static_cast<float>(size); }));
  }
}
