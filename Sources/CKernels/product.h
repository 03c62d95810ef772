// Products of this model's shapes: long and thin, with an inner dimension of 32 to 512. A general BLAS passes over C once more to
// clear it and packs both operands for every call; here C is written once, and of the left operand only columns are packed.
#pragma once
#include "tile.h"

// Floats of the right operand that are packed at once: half of a small second cache. Bytes of the left operand's rows that meet
// them panel after panel out of the first cache.
enum { PACKED_FLOATS = 1 << 16, ROW_BYTES = 12 << 10 };
// Floats between rows of a left operand that is read transposed, or of a right one that is not, up to which it is read where it is. Rows
// that are further apart compete for the same places in the second cache.
enum { IN_PLACE_STRIDE = 256 };
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

// The same operand, where it stands if its rows are whole panels and near each other, else packed.
INLINE right_operand
right(kernel_matrix b, int transposes, size_t first, size_t inner, size_t column, size_t columns, float *packed) {
  if (!transposes && columns % 16 == 0 && b.stride <= IN_PLACE_STRIDE)
    return (right_operand){b.values + first * b.stride + column, 16, b.stride};
  pack_right(b, transposes, first, inner, column, columns, packed);
  return packed_panels(packed, inner);
}

// The panels from a column on.
INLINE right_operand from_column(right_operand b, size_t column) {
  b.values += column / 16 * b.panel;
  return b;
}

// Some rows of a product, few enough to stay in the first cache; those of A begin `distance` floats apart.
INLINE void row_strip(left_operand a, size_t distance, size_t rows, right_operand b, size_t columns, size_t inner, result c) {
  for (size_t column = 0; column < columns; column += COLUMNS)
    for (size_t row = 0; row < rows; row += ROWS) {
      left_operand x = a;
      x.values += row * distance;
      result z = c;
      z.values += row * c.stride + column;
      if (c.bias) z.bias += column;
      any_tile(x, from_column(b, column), inner, z, columns - column, rows - row);
    }
}

static void FUNCTION(product)(
    kernel_matrix a, int transposes_a, kernel_matrix b, int transposes_b, kernel_matrix c, const float *bias, float scale,
    int accumulates, float *scratch) {
  size_t inner_count = transposes_a ? a.rows : a.columns;
  int packs_a = transposes_a && a.stride > IN_PLACE_STRIDE;
  float *left = scratch + PACKED_FLOATS + 16 * INNER;
  for (size_t first = 0; first < inner_count; first += INNER) {
    size_t inner = at_most(inner_count - first, INNER);
    size_t widest = PACKED_FLOATS / inner / COLUMNS * COLUMNS;
    size_t strip = transposes_a ? PACKED_ROWS : (ROW_BYTES / sizeof(float) / inner / ROWS + 1) * ROWS;
    for (size_t j = 0; j < c.columns; j += widest) {
      size_t columns = at_most(c.columns - j, widest);
      right_operand panels = right(b, transposes_b, first, inner, j, columns, scratch);
      for (size_t i = 0; i < c.rows; i += strip) {
        size_t rows = at_most(c.rows - i, strip);
        result z = {c.values + i * c.stride + j, c.stride, scale, accumulates || first > 0, bias ? bias + j : 0};
        // Each case with its constants.
        if (packs_a) {
          pack_left(a.values + first * a.stride + i, a.stride, inner, rows, left);
          row_strip((left_operand){left, 1, ROWS}, inner, rows, panels, columns, inner, z);
        } else if (transposes_a) {
          row_strip((left_operand){a.values + first * a.stride + i, 1, a.stride}, 1, rows, panels, columns, inner, z);
        } else {
          row_strip((left_operand){a.values + i * a.stride + first, a.stride, 1}, a.stride, rows, panels, columns, inner, z);
        }
      }
    }
  }
}
