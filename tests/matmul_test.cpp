// matmul against loops that are written again here. Operands are small integers, so that sums are exact in
// f32 and f64 and must agree to the last bit.
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>

#include "integer_tensors.hpp"
#include "kernels/onednn.hpp"
#include "kernels/small_product.hpp"
#include "kernels/sparse_product.hpp"
#include "threads_restored.hpp"
#include "weft/ops.hpp"

using namespace weft;
using Catch::Matchers::Equals;

namespace {

// One product of matrices stored row by row, transposed where asked.
void multiply(const double* a, const double* b, std::int64_t m, std::int64_t k, std::int64_t n,
              MatmulOptions o, double* y) {
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < n; ++j, ++y) {
      for (std::int64_t l = 0; l < k; ++l) {
        *y += a[o.transpose_a ? l * m + i : i * k + l] * b[o.transpose_b ? j * k + l : l * n + j];
      }
    }
  }
}

// Small integers, most of them zeros of either sign, and a row of nothing else.
Tensor sparse_integers(const Shape& shape, std::uint64_t seed) {
  Tensor x = integers(shape, DType::f32, seed);
  const auto values = x.mutable_values<float>();
  Random random(seed, "zeros");
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t row = i / static_cast<std::size_t>(shape[-1]);
    if (row == 2 || random.below(3) > 0) values[i] = i % 2 == 0 ? 0.0f : -0.0f;
  }
  return x;
}

// Rows that lie further apart than they are long, with NaN between them.
std::vector<float> apart(const Tensor& x, std::int64_t stride) {
  std::vector<float> rows(static_cast<std::size_t>(x.extent(0) * stride), std::nanf(""));
  for (std::int64_t i = 0; i < x.extent(0); ++i)
    std::copy_n(x.values<float>().data() + i * x.extent(1), x.extent(1), rows.begin() + i * stride);
  return rows;
}

struct OperandShapes {
  Shape a, b;
};
OperandShapes operand_shapes(std::int64_t m, std::int64_t k, std::int64_t n, const MatmulOptions& o) {
  return {o.transpose_a ? Shape{k, m} : Shape{m, k}, o.transpose_b ? Shape{n, k} : Shape{k, n}};
}

// Whether the kernel computes the product and writes nothing else; operands and result lie in longer rows.
using Product = void (*)(const GemmShape& shape, const float* a, const float* b, float* c);
bool is_sum_of_products(Product product, const Tensor& a, const Tensor& b, const MatmulOptions& o) {
  const std::int64_t m = a.extent(o.transpose_a ? 1 : 0), k = a.extent(o.transpose_a ? 0 : 1),
                     n = b.extent(o.transpose_b ? 0 : 1);
  const GemmShape s{.m = m,
                    .n = n,
                    .k = k,
                    .transpose_a = o.transpose_a,
                    .transpose_b = o.transpose_b,
                    .a_stride = a.extent(1) + 3,
                    .b_stride = b.extent(1) + 2,
                    .c_stride = n + 1};
  std::vector<float> c = apart(Tensor::full({m, n}, NAN), s.c_stride);
  product(s, apart(a, s.a_stride).data(), apart(b, s.b_stride).data(), c.data());
  std::vector<double> sums(static_cast<std::size_t>(m * n));
  multiply(values_of(a).data(), values_of(b).data(), m, k, n, o, sums.data());
  const std::vector<float> expected = apart(Tensor::of<double>({m, n}, sums).to(DType::f32), s.c_stride);
  return std::memcmp(c.data(), expected.data(), c.size() * sizeof(float)) == 0;
}

}  // namespace

TEST_CASE("matmul is the sum of products for all four ways to transpose", "[matmul]") {
  const ThreadsRestored three(3);
  const DType dtype = GENERATE(DType::f32, DType::f64);
  const MatmulOptions options{.transpose_a = GENERATE(false, true), .transpose_b = GENERATE(false, true)};
  const auto [m, k, n] = GENERATE(table<std::int64_t, std::int64_t, std::int64_t>(
      {{1, 1, 1},       {3, 5, 2},     {17, 33, 9},   {64, 100, 70}, {1, 200, 3},
       {130, 7, 1},     {512, 40, 71}, {37, 64, 517}, {40, 400, 71}, {1, 1100, 1000},
       {16, 4200, 512}, {10, 5, 20},   {512, 30, 15}, {531, 64, 25}, {37, 64, 20},
       {21, 128, 14},   {75, 30, 8},   {40, 20, 9},   {75, 30, 11},  {33, 20, 23}}));
  const Tensor a = integers(options.transpose_a ? Shape{k, m} : Shape{m, k}, dtype, 1);
  const Tensor b = integers(options.transpose_b ? Shape{n, k} : Shape{k, n}, dtype, 2);
  std::vector<double> expected(static_cast<std::size_t>(m * n));
  multiply(values_of(a).data(), values_of(b).data(), m, k, n, options, expected.data());
  const Var y = matmul(a, b, options);
  CHECK(y.shape() == Shape{m, n});
  CHECK_THAT(values_of(y.value()), Equals(expected));
}

TEST_CASE("matmul with few columns is the sum of products for every number of them", "[matmul]") {
  const ThreadsRestored three(3);
  const std::int64_t n = GENERATE(range(7, 31));
  const auto [transpose_a, m, k] =
      GENERATE(table<bool, std::int64_t, std::int64_t>({{true, 1003, 37},
                                                        {true, 1024, 128},
                                                        {false, 45, 523},       // rows are divided
                                                        {false, 103, 1101}}));  // sums are
  const Tensor a = integers(transpose_a ? Shape{k, m} : Shape{m, k}, DType::f32, 1);
  const Tensor b = integers({k, n}, DType::f32, 2);
  const MatmulOptions options{.transpose_a = transpose_a};
  std::vector<double> expected(static_cast<std::size_t>(m * n));
  multiply(values_of(a).data(), values_of(b).data(), m, k, n, options, expected.data());
  CHECK(values_of(matmul(a, b, options).value()) == expected);
}

TEST_CASE("a product that skips zeros is the sum of products", "[matmul]") {
  const bool of_a = GENERATE(true, false);
  const MatmulOptions o{.transpose_a = GENERATE(false, true), .transpose_b = GENERATE(false, true)};
  const auto [m, k, n] = GENERATE(table<std::int64_t, std::int64_t, std::int64_t>({{1, 1, 1},
                                                                                   {5, 3, 9},
                                                                                   {8, 128, 64},
                                                                                   {17, 129, 65},
                                                                                   {300, 15, 56},
                                                                                   {31, 261, 143},
                                                                                   {64, 9, 530},
                                                                                   {257, 127, 7},
                                                                                   {1003, 64, 25}}));
  const auto [a_shape, b_shape] = operand_shapes(m, k, n, o);
  const Tensor a = of_a ? sparse_integers(a_shape, 1) : integers(a_shape, DType::f32, 1);
  const Tensor b = of_a ? integers(b_shape, DType::f32, 2) : sparse_integers(b_shape, 2);
  CHECK(is_sum_of_products(of_a ? skip_zeros_of_a : skip_zeros_of_b, a, b, o));
}

TEST_CASE("a small product is the sum of products for every number of rows and columns", "[matmul]") {
  const MatmulOptions o{.transpose_a = GENERATE(false, true), .transpose_b = GENERATE(false, true)};
  const std::int64_t m = GENERATE(range(1, 10)), n = GENERATE(range(1, 35)),
                     k = GENERATE(1, 2, 8, 9, 31, 256);
  CAPTURE(m, n, k, o.transpose_a, o.transpose_b);
  const auto [a_shape, b_shape] = operand_shapes(m, k, n, o);
  const Tensor a = integers(a_shape, DType::f32, 1), b = integers(b_shape, DType::f32, 2);
  CHECK(is_sum_of_products(small_product, a, b, o));
  const std::int64_t most = (m == 1 ? 1 << 12 : 1 << 15) / (onednn::has_avx512() ? 2 : 1);
  const bool is_much = m * n * k > most;
  CHECK(is_small({.m = m, .n = n, .k = k, .a_stride = k, .b_stride = n, .c_stride = n}) == !is_much);
  CHECK_FALSE(is_small({.m = m, .n = n, .k = 257, .a_stride = 257, .b_stride = n, .c_stride = n}));
}

TEST_CASE("matmul of many zeros is the sum of products, also where it is not finite", "[matmul]") {
  const ThreadsRestored threads(GENERATE(1, 3));
  const bool of_a = GENERATE(true, false), finite = GENERATE(true, false);
  const MatmulOptions o{.transpose_a = GENERATE(false, true), .transpose_b = GENERATE(false, true)};
  const auto [m, k, n] = GENERATE(table<std::int64_t, std::int64_t, std::int64_t>(
      {{150, 333, 91}, {70, 1200, 91}}));  // results are divided; sums are
  const Shape a_shape = o.transpose_a ? Shape{k, m} : Shape{m, k};
  const Shape b_shape = o.transpose_b ? Shape{n, k} : Shape{k, n};
  Tensor a = of_a ? sparse_integers(a_shape, 1) : integers(a_shape, DType::f32, 1);
  Tensor b = of_a ? integers(b_shape, DType::f32, 2) : sparse_integers(b_shape, 2);
  if (!finite) {
    for (Tensor* x : {&a, &b}) {
      const auto values = x->mutable_values<float>();
      values[values.size() / 3] = INFINITY;
      values[values.size() - 5] = std::nanf("");
    }
  }
  std::vector<double> expected(static_cast<std::size_t>(m * n));
  multiply(values_of(a).data(), values_of(b).data(), m, k, n, o, expected.data());
  const std::vector<double> found = values_of(matmul(a, b, o).value());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (std::isnan(expected[i]) ? !std::isnan(found[i]) : found[i] != expected[i])
      FAIL_CHECK("element " << i << " is " << found[i] << ", not " << expected[i]);
  }
}

TEST_CASE("zeros are skipped in the operand with more of them", "[matmul]") {
  const std::int64_t length = 200;
  const Tensor dense = integers({length, length}, DType::f32, 1),
               sparse = sparse_integers({length, length}, 2);
  const Tensor zero = Tensor::zeros({length, length});
  const auto chosen = [&](const Tensor& a, const Tensor& b, std::int64_t m) {
    const GemmShape s{
        .m = m, .n = length, .k = length, .a_stride = length, .b_stride = length, .c_stride = length};
    return sparse_operand(s, a.values<float>().data(), b.values<float>().data());
  };
  CHECK(chosen(dense, dense, length) == Sparse::neither);
  CHECK(chosen(sparse, dense, length) == Sparse::a);
  CHECK(chosen(dense, sparse, length) == Sparse::b);
  CHECK(chosen(sparse, sparse, length) == Sparse::a);
  CHECK(chosen(sparse, zero, length) == Sparse::b);
  CHECK(chosen(sparse, dense, 50) == Sparse::neither);  // too little work
}

TEST_CASE("matmul broadcasts the axes in front of the matrices", "[matmul]") {
  struct Case {
    Shape a, b, y;
    std::vector<std::int64_t> a_matrix, b_matrix;  // of each product in turn
  };
  const auto c = GENERATE(values<Case>({
      {{3, 4, 5}, {5, 2}, {3, 4, 2}, {0, 1, 2}, {0, 0, 0}},
      {{4, 5}, {3, 5, 2}, {3, 4, 2}, {0, 0, 0}, {0, 1, 2}},
      {{2, 1, 4, 5}, {3, 5, 2}, {2, 3, 4, 2}, {0, 0, 0, 1, 1, 1}, {0, 1, 2, 0, 1, 2}},
      {{2, 1, 4, 5}, {1, 2, 5, 2}, {2, 2, 4, 2}, {0, 0, 1, 1}, {0, 1, 0, 1}},
      {{1, 1, 4, 5}, {2, 2, 5, 2}, {2, 2, 4, 2}, {0, 0, 0, 0}, {0, 1, 2, 3}},
  }));
  const DType dtype = GENERATE(DType::f32, DType::f64);
  const bool transpose_a = GENERATE(false, true);
  const MatmulOptions options{.transpose_a = transpose_a};
  const Shape a_shape = transpose_a ? c.a.with(-2, 5).with(-1, 4) : c.a;
  const Tensor a = integers(a_shape, dtype, 3), b = integers(c.b, dtype, 4);
  std::vector<double> expected(static_cast<std::size_t>(c.y.elements()));
  for (std::size_t i = 0; i < c.a_matrix.size(); ++i) {
    multiply(values_of(a).data() + c.a_matrix[i] * 20, values_of(b).data() + c.b_matrix[i] * 10, 4, 5, 2,
             options, expected.data() + i * 8);
  }
  const Var y = matmul(a, b, options);
  CHECK(y.shape() == c.y);
  CHECK_THAT(values_of(y.value()), Equals(expected));
}

TEST_CASE("many small and few large products of a batch are those of each alone", "[matmul]") {
  const Shape shape = GENERATE(Shape{3000, 5, 7}, Shape{3, 120, 110});
  const Tensor a = integers(shape, DType::f32, 5), b = integers(shape, DType::f32, 6);
  const Tensor y = matmul(a, b, {.transpose_b = true}).value();
  CHECK_THAT(values_of(y),
             Equals(values_of(matmul(a.to(DType::f64), b.to(DType::f64), {.transpose_b = true}).value())));
}
