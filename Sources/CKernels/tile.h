// Micro tiles of matrix products and the packing in front of them; product.h, attention.h and head.h are made of these.
//
// A micro tile has ROWS x COLUMNS sums in registers; the clone chooses a size that fills them. An element of a product is one chain
// of fused multiply-adds over the inner index within a block of INNER, then one more for the scale and what is added to, so the
// size of a tile shapes no bits.
#pragma once
#include "vector.h"

enum { ROWS = CLONE_TILE_ROWS, PANELS = CLONE_TILE_PANELS, COLUMNS = 16 * PANELS, INNER = 256 };

// Inner steps of a whole tile between two looks at their number. A small tile's step is over before the look is; eight steps of a large
// one are more code than the processor likes (AVX-512, Zen 5: an eighth more time for products and attention).
enum { STEPS = PANELS == 1 ? 8 : 1 };

// Rows that a softmax takes through its three sweeps together: so many are independent of each other, and stay in the first cache.
enum { SOFTMAX_ROWS = 16 };
_Static_assert(ROWS <= SOFTMAX_ROWS, "a tile's rows go through a softmax together");

// `panels` panels of sixteen columns of B, one inner step after the other, from rows of B (inner, columns).
INLINE void pack_panels(const float *b, size_t stride, size_t inner, float *packed, const int panels) {
  float *panel = packed;
  for (size_t k = 0; k < inner; k++, b += stride, panel += 16)
#pragma clang loop unroll(full)
    for (int j = 0; j < panels; j++) store(panel + j * 16 * inner, load(b + 16 * j));
}

// All panels of B: several at once, so that memory is read along its rows.
INLINE void pack_rows(const float *b, size_t stride, size_t inner, size_t columns, float *packed) {
  size_t j = 0;
  for (; j + 64 <= columns; j += 64) pack_panels(b + j, stride, inner, packed + j * inner, 4);
  for (; j + 32 <= columns; j += 32) pack_panels(b + j, stride, inner, packed + j * inner, 2);
  for (; j + 16 <= columns; j += 16) pack_panels(b + j, stride, inner, packed + j * inner, 1);
  if (j < columns)
    for (size_t k = 0; k < inner; k++) store(packed + j * inner + k * 16, load_part(b + k * stride + j, columns - j));
}

// Four steps of a 16 x 16 transposition: each exchanges blocks of half the size between pairs of vectors.
INLINE void transpose(f16 v[16]) {
#define SWAP(a, b, ...) \
  { \
    f16 x = v[a], y = v[b]; \
    v[a] = __builtin_shufflevector(x, y, SWAP_LOW); \
    v[b] = __builtin_shufflevector(x, y, SWAP_HIGH); \
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

// One panel from columns: rows of the transposed B (columns, inner).
INLINE void pack_transposed(const float *b, size_t stride, size_t inner, size_t columns, float *packed) {
  size_t k = 0;
  if (columns >= 16)
    for (; k + 16 <= inner; k += 16) {
      f16 v[16];
      // The next panel's rows come near meanwhile; from sixteen short rows the processor does not see where it goes.
      for (int i = 0; i < 16; i++) __builtin_prefetch(b + (16 + i) * stride + k, 0, 2);
      for (int i = 0; i < 16; i++) v[i] = load(b + i * stride + k);
      transpose(v);
      for (int i = 0; i < 16; i++) store(packed + (k + i) * 16, v[i]);
    }
  for (; k < inner; k++)
    for (size_t i = 0; i < 16; i++) packed[k * 16 + i] = i < columns ? b[i * stride + k] : 0;
}

// The ROWS numbers of an inner step, copied without a call.
INLINE void copy_tile_row(float *target, const float *source) {
  f4 v;
  int i = 0;
#pragma clang loop unroll(full)
  for (; i + 4 <= ROWS; i += 4) {
    memcpy(&v, source + i, sizeof v);
    memcpy(target + i, &v, sizeof v);
  }
#pragma clang loop unroll(full)
  for (; i < ROWS; i++) target[i] = source[i];
}

// The same and some numbers behind it, as one vector: what follows overwrites them.
INLINE void copy_vector(float *target, const float *source) {
  if (ROWS <= 8) {
    f8 v;
    memcpy(&v, source, sizeof v);
    memcpy(target, &v, sizeof v);
  } else {
    store(target, load(source));
  }
}

// Rows of the left operand that are packed at once where it is read transposed: three cache lines of each of its rows, whole tiles
// of every size in use.
enum { PACKED_ROWS = 48 };

// The left operand (inner, rows), which is read transposed: the ROWS numbers of an inner step stand together, a tile after the
// other; at most PACKED_ROWS rows.
INLINE void pack_left(const float *a, size_t stride, size_t inner, size_t rows, float *packed) {
  if (rows >= PACKED_ROWS) {
    size_t last = inner - 1;
    for (size_t k = 0; k < last; k++)
#pragma clang loop unroll(full)
      for (int i = 0; i < PACKED_ROWS; i += ROWS) copy_vector(packed + i * inner + k * ROWS, a + k * stride + i);
#pragma clang loop unroll(full)
    for (int i = 0; i < PACKED_ROWS; i += ROWS) copy_tile_row(packed + i * inner + last * ROWS, a + last * stride + i);
    return;
  }
  for (size_t first = 0; first < rows; first += ROWS) {
    float *target = packed + first * inner;
    if (first + ROWS <= rows)
      for (size_t k = 0; k < inner; k++) copy_tile_row(target + k * ROWS, a + k * stride + first);
    else
      for (size_t k = 0; k < inner; k++)
        for (size_t i = 0; first + i < rows; i++) target[k * ROWS + i] = a[k * stride + first + i];
  }
}

typedef struct {
  const float *values;
  size_t stride, step;  // from row to row, and from one inner step to the next
} left_operand;

typedef struct {
  const float *values;  // panels of 16 columns
  size_t panel, step;   // from panel to panel, and from one inner step to the next
} right_operand;

// Panels that pack_rows or pack_transposed has made of `inner` steps.
INLINE right_operand packed_panels(const float *values, size_t inner) { return (right_operand){values, inner * 16, 16}; }

typedef struct {
  float *values;
  size_t stride;
  float scale;
  int accumulates;
  const float *bias;  // added where nothing is accumulated; may be null
} result;

// `count` inner steps, one after the other, and the operands moved on behind them.
INLINE void take_steps(f16 *sums, left_operand *a, right_operand *b, const int count, const int rows, const int panels) {
#pragma clang loop unroll(full)
  for (int k = 0; k < count; k++) {
    f16 v[PANELS];
#pragma clang loop unroll(full)
    for (int j = 0; j < panels; j++) v[j] = load(b->values + j * b->panel);
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
      f16 x = a->values[i * a->stride];
#pragma clang loop unroll(full)
      for (int j = 0; j < panels; j++) sums[i * panels + j] = fma16(x, v[j], sums[i * panels + j]);
    }
    a->values += a->step, b->values += b->step;
  }
}

// c (rows, columns) = bias + scale * A (rows, inner) B (inner, columns), or c += the product; at most PANELS panels of columns.
// `several` inner steps are taken between two looks at their number.
INLINE void tile(
    left_operand a, right_operand b, size_t inner, result c, size_t columns, const int rows, const int panels,
    const int several) {
  f16 sums[ROWS * PANELS];
#pragma clang loop unroll(full)
  for (int i = 0; i < rows * panels; i++) sums[i] = 0;
  // What is added to comes near while the product is made.
  if (c.accumulates)
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
      for (int j = 0; j < panels; j++) __builtin_prefetch(c.values + i * c.stride + j * 16, 1, 3);
  for (size_t k = inner / several; k > 0; k--) take_steps(sums, &a, &b, several, rows, panels);
  if (several > 4 && inner & 4) take_steps(sums, &a, &b, 4, rows, panels);
  if (several > 2 && inner & 2) take_steps(sums, &a, &b, 2, rows, panels);
  if (several > 1 && inner & 1) take_steps(sums, &a, &b, 1, rows, panels);
#pragma clang loop unroll(full)
  for (int j = 0; j < panels; j++) {
    size_t count = columns - j * 16;
    f16 start = c.bias && !c.accumulates ? load_up_to(c.bias + j * 16, count) : (f16)0;
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
      float *target = c.values + i * c.stride + j * 16;
      f16 v = sums[i * panels + j];
      if (c.accumulates) v = fma16(v, (f16)c.scale, load_up_to(target, count));
      else v = fma16(v, (f16)c.scale, start);
      store_up_to(target, v, count);
    }
  }
}

// The same for fewer rows than a tile has.
INLINE void few_rows(left_operand a, right_operand b, size_t inner, result c, size_t columns, size_t rows, const int panels) {
#define TAKE(n) \
  while (ROWS > n && rows >= n) { \
    tile(a, b, inner, c, columns, ROWS > n ? n : ROWS, panels, 1); \
    a.values += n * a.stride, c.values += n * c.stride; \
    rows -= n; \
  }
  TAKE(8)
  TAKE(4)
  TAKE(2)
  TAKE(1)
#undef TAKE
}

NOT_INLINE void edge_tile(left_operand a, right_operand b, size_t inner, result c, size_t columns, size_t rows) {
  if (PANELS == 1 || columns > COLUMNS - 16) few_rows(a, b, inner, c, columns, rows, PANELS);
  else if (rows == ROWS) tile(a, b, inner, c, columns, ROWS, 1, 1);
  else few_rows(a, b, inner, c, columns, rows, 1);
}

// A whole tile, or what is left of one at the last rows and columns; more of them than a tile has are left alone.
INLINE void any_tile(left_operand a, right_operand b, size_t inner, result c, size_t columns, size_t rows) {
  if (rows >= ROWS && columns > COLUMNS - 16) tile(a, b, inner, c, columns, ROWS, PANELS, STEPS);
  else edge_tile(a, b, inner, c, columns, rows < ROWS ? rows : ROWS);
}
