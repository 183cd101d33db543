// The mark of a loop that is compiled for several instruction sets, and the functions that such a loop may
// call.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

// Under g++ on x86-64 the compiler makes a version of the function for each instruction set and picks one
// when the program is loaded, before a sanitizer's run-time is ready: sanitized builds have one version.
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(WEFT_SINGLE_TARGET)
#define WEFT_VECTOR_LOOP __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define WEFT_VECTOR_LOOP
#endif

namespace weft {

// Whether loops are compiled for this processor: clang makes one version of them, for the oldest x86-64.
#if defined(__clang__) && defined(__x86_64__) && !defined(__AVX__)
constexpr bool has_vector_loops() { return false; }
#else
constexpr bool has_vector_loops() { return true; }
#endif

}  // namespace weft

// glibc's vector library libmvec is used where the declarations say that it may be; at most 4 units in the
// last place.
#if defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__)
extern "C" {
__attribute__((simd("notinbranch"))) double exp(double) noexcept;
__attribute__((simd("notinbranch"))) double log(double) noexcept;
__attribute__((simd("notinbranch"))) float logf(float) noexcept;
__attribute__((simd("notinbranch"))) double tanh(double) noexcept;
__attribute__((simd("notinbranch"))) double erf(double) noexcept;
__attribute__((simd("notinbranch"))) float erff(float) noexcept;
__attribute__((simd("notinbranch"))) double pow(double, double) noexcept;
__attribute__((simd("notinbranch"))) float powf(float, float) noexcept;
}
#endif

namespace weft::vector_math {

// exp and tanh of f32 are inlined, and vectorised by clang too, which does not know libmvec. tanh is twice as
// fast as libmvec's, which gathers from a table; with exp, softmax is a twentieth faster, as a call leaves a
// loop no registers. With n the whole number nearest to x / ln(2) is e^x = 2^n e^r = 2^n (1 + p).

// (e^sr - 1) / s for |sr| <= ln(2) / 2, by the polynomial that is the best in the relative error; its halves
// are computed at once (Estrin's scheme), as much waits for the result.
template <int s>
[[gnu::always_inline]] inline float exp_minus_one(float r) {
  const float square = r * r;
  const float low = s * s * 0.16666542f * r + s * 0.49999997f;
  const float high = s * s * s * s * 0.00836664718f * r + s * s * s * 0.0416672044f;
  const float p = (s * s * s * s * s * 0.00138824957f * square + high) * square + low;
  return square * p + r;
}
// Added to a number below 2^21, it leaves the nearest whole number in the last bits of the sum: 1.5 * 2^23.
inline constexpr float to_whole = 12582912.0f;
inline constexpr float log2_e = 1.44269504f;

[[gnu::always_inline]] inline float power_of_two(std::int32_t n) {  // -126 <= n <= 127, but of NaN
  return std::bit_cast<float>((n + 127) << 23);
}

// 2^n in two steps: it may be beyond what is normal while the result is not. At most 1.1 units in the last
// place.
[[gnu::always_inline]] inline float exp(float x) {
  constexpr float infinite_from_here = 89, zero_from_here = -104;
  constexpr float ln_2_high = 0.693359375f, ln_2_low = -2.12194440e-4f;
  float within = x > infinite_from_here ? infinite_from_here : x;
  within = within < zero_from_here ? zero_from_here : within;
  const float shifted = within * log2_e + to_whole, whole = shifted - to_whole;
  const float p = exp_minus_one<1>((within - whole * ln_2_high) - whole * ln_2_low);
  const std::int32_t n = std::bit_cast<std::int32_t>(shifted) - std::bit_cast<std::int32_t>(to_whole);
  const std::int32_t half = n >> 1;
  return (1 + p) * power_of_two(half) * power_of_two(n - half);
}

// With e = e^2|x| - 1 is tanh |x| = e / (e + 2). At most 2.7 units in the last place.
[[gnu::always_inline]] inline float tanh(float x) {
  constexpr float one_from_here = 9.125f, half_ln_2 = 0.346573591f;
  const float magnitude = std::fabs(x);
  const float a = magnitude > one_from_here ? one_from_here : magnitude;
  const float shifted = a * (2 * log2_e) + to_whole;
  const float half = exp_minus_one<2>(a - (shifted - to_whole) * half_ln_2);
  const float power = std::bit_cast<float>((std::bit_cast<std::uint32_t>(shifted) << 23) +
                                           std::bit_cast<std::uint32_t>(1.0f));
  const float e = 2 * power * half + (power - 1);
  const std::uint32_t sign = std::bit_cast<std::uint32_t>(x) & 0x80000000;
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(e / (e + 2)) | sign);
}

inline double exp(double x) { return ::exp(x); }
inline double log(double x) { return ::log(x); }
inline float log(float x) { return ::logf(x); }
inline double tanh(double x) { return ::tanh(x); }
inline double erf(double x) { return ::erf(x); }
inline float erf(float x) { return ::erff(x); }
inline double pow(double x, double y) { return ::pow(x, y); }
inline float pow(float x, float y) { return ::powf(x, y); }
inline double sqrt(double x) { return __builtin_sqrt(x); }
inline float sqrt(float x) { return __builtin_sqrtf(x); }

}  // namespace weft::vector_math
