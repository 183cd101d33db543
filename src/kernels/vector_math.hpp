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

// glibc's vector library libmvec is used where the declarations say that it may be; at most 4 units in the
// last place.
#if defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__)
extern "C" {
__attribute__((simd("notinbranch"))) double exp(double) noexcept;
__attribute__((simd("notinbranch"))) float expf(float) noexcept;
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

inline double exp(double x) { return ::exp(x); }
inline float exp(float x) { return ::expf(x); }
inline double log(double x) { return ::log(x); }
inline float log(float x) { return ::logf(x); }
inline double tanh(double x) { return ::tanh(x); }

// Twice as fast as libmvec's, which gathers from a table; at most 2.6 units in the last place. With
// e^2|x| = 2^n e^r and p = e^r - 1 is tanh |x| = e / (e + 2) for e = e^2|x| - 1 = 2^n p + 2^n - 1. The
// polynomial is the best in the relative error of p for |r| <= ln(2) / 2.
[[gnu::always_inline]] inline float tanh(float x) {
  constexpr float one_from_here = 9.125f, two_log2_e = 2.88539008f, ln_2 = 0.693147181f;
  constexpr float rounding = 12582912.0f;  // 1.5 * 2^23: the sum's last bits are the whole number n
  const float magnitude = std::fabs(x);
  const float a = magnitude > one_from_here ? one_from_here : magnitude;
  const float shifted = a * two_log2_e + rounding;
  const float r = 2 * a - (shifted - rounding) * ln_2;
  const float power = std::bit_cast<float>((std::bit_cast<std::uint32_t>(shifted) << 23) +
                                           std::bit_cast<std::uint32_t>(1.0f));
  float p = 0.00138824957f * r + 0.00836664718f;
  p = p * r + 0.0416672044f;
  p = p * r + 0.16666542f;
  p = p * r + 0.49999997f;
  p = r * r * p + r;
  const float e = power * p + (power - 1);
  return std::copysign(e / (e + 2), x);
}
inline double erf(double x) { return ::erf(x); }
inline float erf(float x) { return ::erff(x); }
inline double pow(double x, double y) { return ::pow(x, y); }
inline float pow(float x, float y) { return ::powf(x, y); }
inline double sqrt(double x) { return __builtin_sqrt(x); }
inline float sqrt(float x) { return __builtin_sqrtf(x); }

}  // namespace weft::vector_math
