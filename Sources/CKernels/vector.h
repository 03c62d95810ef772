// Sixteen lanes, whatever the machine has: one AVX-512, two AVX2, four SSE or NEON registers.
//
// The same bits from all clones: the compiler may contract nothing by itself, a fused multiply-add is written as fma16 or fma1, and
// sums of lanes have one order. (The baseline clone of x86-64 has no such instruction and rounds twice there.)
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#pragma clang fp contract(off)
// The functions below are always inlined, so that no vector crosses a real call, whose convention would depend on the clone.
#pragma clang diagnostic ignored "-Wpsabi"

typedef float f4 __attribute__((ext_vector_type(4)));
typedef float f8 __attribute__((ext_vector_type(8)));
typedef float f16 __attribute__((ext_vector_type(16)));
typedef int32_t i16 __attribute__((ext_vector_type(16)));
typedef uint32_t u16 __attribute__((ext_vector_type(16)));
typedef uint32_t u8 __attribute__((ext_vector_type(8)));

#define INLINE static inline __attribute__((always_inline))
#define NOT_INLINE static __attribute__((noinline))

// a * b + c, rounded once.
#if CLONE_HAS_FMA
INLINE f16 fma16(f16 a, f16 b, f16 c) { return __builtin_elementwise_fma(a, b, c); }
INLINE f8 fma8(f8 a, f8 b, f8 c) { return __builtin_elementwise_fma(a, b, c); }
INLINE float fma1(float a, float b, float c) { return __builtin_elementwise_fma(a, b, c); }
#else
INLINE f16 fma16(f16 a, f16 b, f16 c) { return a * b + c; }
INLINE f8 fma8(f8 a, f8 b, f8 c) { return a * b + c; }
INLINE float fma1(float a, float b, float c) { return a * b + c; }
#endif

INLINE f16 load(const float *p) {
  f16 v;
  memcpy(&v, p, sizeof v);
  return v;
}
INLINE void store(float *p, f16 v) { memcpy(p, &v, sizeof v); }

// A store past the caches, to a multiple of 64 bytes.
INLINE void stream(float *p, f16 v) { __builtin_nontemporal_store(v, (f16 *)p); }

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

// `call` with `whole` as a constant: rows of whole vectors, the usual ones, need no look at their ends.
#define WHOLE_OR_NOT(columns, call) \
  do { \
    if ((columns) % 16 == 0) { \
      enum { whole = 1 }; \
      call; \
    } else { \
      enum { whole = 0 }; \
      call; \
    } \
  } while (0)

// Asks for `count` floats ahead of their use, into the second cache.
INLINE void prefetch(const float *p, size_t count) {
  for (size_t i = 0; i < count; i += 16) __builtin_prefetch(p + i, 0, 2);
}

INLINE float sum_lanes(f16 v) {
  f8 a = v.lo + v.hi;
  f4 b = a.lo + a.hi;
  return (b.x + b.z) + (b.y + b.w);
}

// A NaN may be lost here; the sums that follow keep it.
INLINE f16 maximum(f16 a, f16 b) { return a > b ? a : b; }
INLINE float max_lanes(f16 v) {
  f8 a = v.lo > v.hi ? v.lo : v.hi;
  f4 b = a.lo > a.hi ? a.lo : a.hi;
  float x = b.x > b.z ? b.x : b.z, y = b.y > b.w ? b.y : b.w;
  return x > y ? x : y;
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

// exp(x) for x <= 0, at most 2 ulp off (found: 1.0) down to -87.3; 0 below (also for -inf), NaN for NaN.
// x = k ln 2 + r, |r| <= ln 2 / 2; e^r by the minimax polynomial of degree 6, with 1, 1 and 1/2 as they are, relative error 4e-9 before rounding.
INLINE f16 exp16(f16 x) {
  // 1.5 * 2^23 + 127: adding it rounds to an integer and leaves the exponent's bits in the low ones.
  const float magic = 12583039.0f;
  f16 shifted = fma16(x, (f16)1.44269504088896341f, (f16)magic);
  f16 k = shifted - magic;
  f16 r = fma16(k, (f16)-0.693359375f, x);
  r = fma16(k, (f16)2.12194440e-4f, r);
  f16 p = fma16(r, (f16)0x1.6b69fcp-10f, (f16)0x1.122f2ep-7f);
  p = fma16(p, r, (f16)0x1.55568cp-5f);
  p = fma16(p, r, (f16)0x1.5554a4p-3f);
  p = fma16(p, r, (f16)0.5f);
  p = fma16(p, r, (f16)1.0f);
  p = fma16(p, r, (f16)1.0f);
  f16 e = p * bits_to_float(float_to_bits(shifted) << 23);
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
INLINE i16 kept(uint64_t row_key, size_t i, uint32_t threshold) { return (i16)(random_halves(row_key, i)) >= (int32_t)threshold; }

INLINE f16 select_lanes(i16 mask, f16 v) { return bits_to_float(float_to_bits(v) & mask); }
