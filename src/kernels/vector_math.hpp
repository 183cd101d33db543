// The mark of a loop that is compiled for several instruction sets, and the functions that such a loop may
// call.
#pragma once

#include <cmath>

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
__attribute__((simd("notinbranch"))) float tanhf(float) noexcept;
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
inline float tanh(float x) { return ::tanhf(x); }
inline double erf(double x) { return ::erf(x); }
inline float erf(float x) { return ::erff(x); }
inline double pow(double x, double y) { return ::pow(x, y); }
inline float pow(float x, float y) { return ::powf(x, y); }
inline double sqrt(double x) { return __builtin_sqrt(x); }
inline float sqrt(float x) { return __builtin_sqrtf(x); }

}  // namespace weft::vector_math
