// Micro tiles of matrix products and the packing in front of them; product.c and attention.c are made of these.
//
// A micro tile has 6 rows x 16 columns, which fills the sixteen registers of AVX2: 12 sums, 2 of B, 1 of A.
#pragma once
#include "vector.h"

enum { ROWS = 6, COLUMNS = 16, INNER = 256 };

// Sixteen columns of B for `inner` steps, one after the other, from rows of B (inner, columns).
INLINE void pack_rows(const float *b, size_t stride, size_t inner, size_t columns, float *packed) {
  for (size_t k = 0; k < inner; k++) store(packed + k * COLUMNS, load_up_to(b + k * stride, columns));
}

// Four steps of a 16 x 16 transposition: each exchanges blocks of half the size between pairs of vectors.
INLINE void transpose(f16 v[16]) {
#define SWAP(a, b, ...)                                                                                              \
  {                                                                                                                  \
    f16 x = v[a], y = v[b];                                                                                          \
    v[a] = __builtin_shufflevector(x, y, SWAP_LOW);                                                                  \
    v[b] = __builtin_shufflevector(x, y, SWAP_HIGH);                                                                 \
  }
#define SWAP_LOW 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23
#define SWAP_HIGH 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31
#pragma clang loop unroll(full)
  for (int i = 0; i < 8; i++) SWAP(i, i + 8)
#undef SWAP_LOW
#undef SWAP_HIGH
#define SWAP_LOW 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27
#define SWAP_HIGH 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31
#pragma clang loop unroll(full)
  for (int i = 0; i < 16; i++)
    if (!(i & 4)) SWAP(i, i + 4)
#undef SWAP_LOW
#undef SWAP_HIGH
#define SWAP_LOW 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29
#define SWAP_HIGH 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31
#pragma clang loop unroll(full)
  for (int i = 0; i < 16; i++)
    if (!(i & 2)) SWAP(i, i + 2)
#undef SWAP_LOW
#undef SWAP_HIGH
#define SWAP_LOW 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30
#define SWAP_HIGH 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31
#pragma clang loop unroll(full)
  for (int i = 0; i < 16; i += 2) SWAP(i, i + 1)
#undef SWAP_LOW
#undef SWAP_HIGH
#undef SWAP
}

// The same from columns: rows of the transposed B (columns, inner).
INLINE void pack_transposed(const float *b, size_t stride, size_t inner, size_t columns, float *packed) {
  size_t k = 0;
  if (columns >= COLUMNS)
    for (; k + 16 <= inner; k += 16) {
      f16 v[16];
      for (int i = 0; i < 16; i++) v[i] = load(b + i * stride + k);
      transpose(v);
      for (int i = 0; i < 16; i++) store(packed + (k + i) * COLUMNS, v[i]);
    }
  for (; k < inner; k++)
    for (size_t i = 0; i < COLUMNS; i++) packed[k * COLUMNS + i] = i < columns ? b[i * stride + k] : 0;
}

// Six columns of the left operand (inner, rows), which is read transposed: its six numbers of a step stand together.
INLINE void pack_left(const float *a, size_t stride, size_t inner, size_t rows, float *packed) {
  typedef float f8 __attribute__((ext_vector_type(8)));
  size_t k = 0;
  if (rows >= 8)  // Two numbers too many are overwritten by the next step, or lie in the buffer's reserve.
    for (; k < inner; k++) {
      f8 v;
      memcpy(&v, a + k * stride, sizeof v);
      memcpy(packed + k * ROWS, &v, sizeof v);
    }
  else
    for (; k < inner; k++)
      for (size_t i = 0; i < ROWS; i++) packed[k * ROWS + i] = i < rows ? a[k * stride + i] : 0;
}

// sums (rows, 16) = A (rows, inner) B (inner, 16); A's numbers are `step` apart from one inner step to the next and `stride` apart from
// row to row.
INLINE void micro_tile(
    const float *a, size_t stride, size_t step, const float *b, size_t inner, f16 sums[ROWS], const int rows) {
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++) sums[i] = 0;
  for (size_t k = 0; k < inner; k++) {
    f16 v = load(b + k * COLUMNS);
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) sums[i] += a[i * stride + k * step] * v;
  }
}

INLINE void write_tile(
    float *c, size_t stride, const f16 sums[ROWS], float scale, int accumulates, size_t columns, const int rows) {
  if (columns >= COLUMNS) {
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
      f16 v = sums[i] * scale;
      if (accumulates) v += load(c + i * stride);
      store(c + i * stride, v);
    }
  } else {
    for (int i = 0; i < rows; i++)
      for (size_t j = 0; j < columns; j++) {
        float v = sums[i][j] * scale;
        c[i * stride + j] = accumulates ? c[i * stride + j] + v : v;
      }
  }
}

INLINE void tile(
    const float *a, size_t a_stride, size_t a_step, const float *b, size_t inner, float *c, size_t c_stride, float scale,
    int accumulates, size_t columns, const int rows) {
  f16 sums[ROWS];
  micro_tile(a, a_stride, a_step, b, inner, sums, rows);
  write_tile(c, c_stride, sums, scale, accumulates, columns, rows);
}

INLINE void tile_rows(
    const float *a, size_t a_stride, size_t a_step, const float *b, size_t inner, float *c, size_t c_stride, float scale,
    int accumulates, size_t columns, size_t rows) {
  switch (rows) {
  case 6: tile(a, a_stride, a_step, b, inner, c, c_stride, scale, accumulates, columns, 6); break;
  case 5: tile(a, a_stride, a_step, b, inner, c, c_stride, scale, accumulates, columns, 5); break;
  case 4: tile(a, a_stride, a_step, b, inner, c, c_stride, scale, accumulates, columns, 4); break;
  case 3: tile(a, a_stride, a_step, b, inner, c, c_stride, scale, accumulates, columns, 3); break;
  case 2: tile(a, a_stride, a_step, b, inner, c, c_stride, scale, accumulates, columns, 2); break;
  default: tile(a, a_stride, a_step, b, inner, c, c_stride, scale, accumulates, columns, 1); break;
  }
}
