// Sixteen lanes, whatever the machine has: one AVX-512, two AVX2 or four SSE registers.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// Accuracy, not reproducibility between CPU types, is asked of most kernels; optimizer.c overrides this.
#pragma clang fp contract(fast)
// The functions below are always inlined, so that no vector crosses a real call, whose convention would depend on the clone.
#pragma clang diagnostic ignored "-Wpsabi"

typedef float f16 __attribute__((ext_vector_type(16)));
typedef int32_t i16 __attribute__((ext_vector_type(16)));
typedef uint32_t u16 __attribute__((ext_vector_type(16)));
typedef uint32_t u8 __attribute__((ext_vector_type(8)));

#ifdef __has_feature
#if __has_feature(thread_sanitizer)
// The resolvers that pick a clone run while the program is loaded, before the sanitizer is ready for the calls that it has
// put into them, and crash. One version will do for tests under it. (The address sanitizer leaves resolvers alone.)
#define KERNEL
#endif
#endif
#ifndef KERNEL
#if defined(__x86_64__)
// Picked when the program is loaded, by what the CPU has.
#define KERNEL __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define KERNEL
#endif
#endif
#define INLINE static inline __attribute__((always_inline))

INLINE f16 load(const float *p) {
  f16 v;
  memcpy(&v, p, sizeof v);
  return v;
}
INLINE void store(float *p, f16 v) { memcpy(p, &v, sizeof v); }

// The last lanes of a row whose length is no multiple of 16.
INLINE f16 load_part(const float *p, size_t count) {
  f16 v = 0;
  for (size_t i = 0; i < count; i++) v[i] = p[i];
  return v;
}
INLINE void store_part(float *p, f16 v, size_t count) {
  for (size_t i = 0; i < count; i++) p[i] = v[i];
}

INLINE f16 load_up_to(const float *p, size_t count) { return count >= 16 ? load(p) : load_part(p, count); }
INLINE void store_up_to(float *p, f16 v, size_t count) {
  if (count >= 16) store(p, v);
  else store_part(p, v, count);
}

INLINE float sum_lanes(f16 v) {
  __attribute__((ext_vector_type(8))) float a = v.lo + v.hi;
  __attribute__((ext_vector_type(4))) float b = a.lo + a.hi;
  return (b.x + b.z) + (b.y + b.w);
}

// A NaN may be lost here; the sums that follow keep it.
INLINE f16 maximum(f16 a, f16 b) { return a > b ? a : b; }
INLINE float max_lanes(f16 v) {
  float m = v[0];
  for (int i = 1; i < 16; i++) m = v[i] > m ? v[i] : m;
  return m;
}

INLINE f16 bits_to_float(i16 v) {
  f16 r;
  memcpy(&r, &v, sizeof r);
  return r;
}
INLINE i16 float_to_bits(f16 v) {
  i16 r;
  memcpy(&r, &v, sizeof r);
  return r;
}

// exp(x), at most 2 ulp off (found: 1.02) on [-87.3, 88.3]; 0 below (also for -inf), inf from 88.73, NaN for NaN.
// x = k ln 2 + r, |r| <= ln 2 / 2; e^r by its Taylor polynomial of degree 7.
INLINE f16 exp16(f16 x) {
  const float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer in the low bits
  f16 c = x > 88.8f ? 88.8f : x;
  f16 shifted = c * 1.44269504088896341f + magic;
  f16 k = shifted - magic;
  f16 r = c - k * 0.693359375f;
  r = r - k * -2.12194440e-4f;
  f16 p = r * 1.9841270e-4f + 1.3888889e-3f;
  p = p * r + 8.3333333e-3f;
  p = p * r + 4.1666667e-2f;
  p = p * r + 1.6666667e-1f;
  p = p * r + 0.5f;
  p = p * (r * r) + r + 1.0f;
  // Two factors, so that 2^128 is not asked for.
  i16 half_exponent = (float_to_bits(shifted) - float_to_bits((f16)magic)) >> 1;
  i16 rest = (float_to_bits(shifted) - float_to_bits((f16)magic)) - half_exponent;
  f16 e = (p * bits_to_float((half_exponent + 127) << 23)) * bits_to_float((rest + 127) << 23);
  return x < -87.3f ? (f16)0.0f : e;
}

// Dropout -------------------------------------------------------------------------------------------------------------------

// The 16-bit numbers of elements 16 i ... 16 i + 15 of a row: eight 32-bit words, low halves first. A word is the row key's two
// halves mixed with the word's number by the constants of Wellons' "lowbias32".
INLINE u16 random_halves(uint64_t row_key, size_t i) {
  u8 word = (u8){0, 1, 2, 3, 4, 5, 6, 7} + (uint32_t)(8 * i);
  u8 x = word * 0x9E3779B9u + (uint32_t)row_key;
  x ^= x >> 16;
  x *= 0x7feb352du;
  x ^= x >> 15;
  x += (uint32_t)(row_key >> 32);
  x *= 0x846ca68bu;
  x ^= x >> 16;
  u16 halves;
  halves.lo = x & 0xffffu;
  halves.hi = x >> 16;
  return halves;
}

// All ones in the lanes that are kept.
INLINE i16 kept(uint64_t row_key, size_t i, uint32_t threshold) {
  return (i16)(random_halves(row_key, i)) >= (int32_t)threshold;
}

INLINE f16 select_lanes(i16 mask, f16 v) { return bits_to_float(float_to_bits(v) & mask); }
