#include "kernels.h"
#include "tile.h"

// Products of this model's shapes: long and thin, with an inner dimension of 32 to 512. A general BLAS passes over C once more to
// clear it and packs both operands for every call; here C is written once, and of the left operand only columns are packed.

size_t kernel_product_scratch(size_t rows, size_t columns) {
  return INNER * ((columns + COLUMNS - 1) / COLUMNS * COLUMNS + COLUMNS + ROWS + 2);
}

KERNEL void kernel_product(
    kernel_matrix a, int transposes_a, kernel_matrix b, int transposes_b, kernel_matrix c, float scale, int accumulates,
    float *scratch) {
  size_t rows = c.rows, columns = c.columns, inner_count = transposes_a ? a.rows : a.columns;
  float *left = scratch, *right = scratch + INNER * (ROWS + 2);
  for (size_t first = 0; first < inner_count; first += INNER) {
    size_t inner = inner_count - first < INNER ? inner_count - first : INNER;
    int adds = accumulates || first > 0;
    if (transposes_a) {
      // The left operand is packed six columns at a time and meets all of B, which is packed before.
      for (size_t j = 0; j < columns; j += COLUMNS) {
        if (transposes_b)
          pack_transposed(b.values + j * b.stride + first, b.stride, inner, columns - j, right + j * inner);
        else
          pack_rows(b.values + first * b.stride + j, b.stride, inner, columns - j, right + j * inner);
      }
      for (size_t i = 0; i < rows; i += ROWS) {
        pack_left(a.values + first * a.stride + i, a.stride, inner, rows - i, left);
        for (size_t j = 0; j < columns; j += COLUMNS)
          tile_rows(
              left, 1, ROWS, right + j * inner, inner, c.values + i * c.stride + j, c.stride, scale, adds, columns - j,
              rows - i < ROWS ? rows - i : ROWS);
      }
      continue;
    }
    for (size_t j = 0; j < columns; j += COLUMNS) {
      if (transposes_b) pack_transposed(b.values + j * b.stride + first, b.stride, inner, columns - j, right);
      else pack_rows(b.values + first * b.stride + j, b.stride, inner, columns - j, right);
      for (size_t i = 0; i < rows; i += ROWS)
        tile_rows(
            a.values + i * a.stride + first, a.stride, 1, right, inner, c.values + i * c.stride + j, c.stride, scale,
            adds, columns - j, rows - i < ROWS ? rows - i : ROWS);
    }
  }
}
