// Products of this model's shapes: long and thin, with an inner dimension of 32 to 512. A general BLAS passes over C once more to
// clear it and packs both operands for every call; here C is written once, and of the left operand only columns are packed.
#pragma once
#include "tile.h"

// Floats of the right operand that are packed at once: half of a small second cache. Bytes of the left operand's rows that meet
// them panel after panel out of the first cache.
enum { PACKED_FLOATS = 1 << 16, ROW_BYTES = 12 << 10 };
enum { PRODUCT_SCRATCH = PACKED_FLOATS + (PACKED_ROWS + 16) * INNER };

INLINE size_t at_most(size_t value, size_t limit) { return value < limit ? value : limit; }

INLINE void pack_right(
    kernel_matrix b, int transposes, size_t first, size_t inner, size_t column, size_t columns, float *packed) {
  if (!transposes) {
    pack_rows(b.values + first * b.stride + column, b.stride, inner, columns, packed);
    return;
  }
  for (size_t j = 0; j < columns; j += 16)
    pack_transposed(b.values + (column + j) * b.stride + first, b.stride, inner, columns - j, packed + j * inner);
}

static void FUNCTION(product)(
    kernel_matrix a, int transposes_a, kernel_matrix b, int transposes_b, kernel_matrix c, const float *bias, float scale,
    int accumulates, float *scratch) {
  size_t inner_count = transposes_a ? a.rows : a.columns;
  float *right = scratch, *left = scratch + PACKED_FLOATS + 16 * INNER;
  for (size_t first = 0; first < inner_count; first += INNER) {
    size_t inner = at_most(inner_count - first, INNER);
    size_t widest = PACKED_FLOATS / inner / COLUMNS * COLUMNS;
    size_t strip = transposes_a ? PACKED_ROWS : (ROW_BYTES / sizeof(float) / inner / ROWS + 1) * ROWS;
    for (size_t j = 0; j < c.columns; j += widest) {
      size_t columns = at_most(c.columns - j, widest);
      pack_right(b, transposes_b, first, inner, j, columns, right);
      right_operand panels = packed_panels(right, inner);
      for (size_t i = 0; i < c.rows; i += strip) {
        size_t rows = at_most(c.rows - i, strip);
        if (transposes_a) pack_left(a.values + first * a.stride + i, a.stride, inner, rows, left);
        for (size_t column = 0; column < columns; column += COLUMNS)
          for (size_t row = 0; row < rows; row += ROWS) {
            left_operand x = transposes_a ? (left_operand){left + row * inner, 1, ROWS}
                                          : (left_operand){a.values + (i + row) * a.stride + first, a.stride, 1};
            result y = {
                c.values + (i + row) * c.stride + j + column, c.stride, scale, accumulates || first > 0,
                bias ? bias + j + column : 0};
            right_operand z = {panels.values + column / 16 * panels.panel, panels.panel, panels.step};
            any_tile(x, z, inner, y, columns - column, rows - row);
          }
      }
    }
  }
}
