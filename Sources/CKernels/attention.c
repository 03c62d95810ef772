#include "kernels.h"
#include "tile.h"

INLINE void softmax_row(float *s, float *dropped, size_t n, size_t padded, kernel_dropout dropout, uint64_t key) {
  for (size_t i = n; i < padded; i++) s[i] = -__builtin_inff();
  f16 highest = load(s);
  for (size_t i = 16; i < padded; i += 16) highest = maximum(load(s + i), highest);
  float shift = max_lanes(highest);
  f16 sums = 0;
  for (size_t i = 0; i < padded; i += 16) {
    f16 e = exp16(load(s + i) - shift);
    store(s + i, e);
    sums += e;
  }
  float inverse = 1.0f / sum_lanes(sums);
  if (!dropout.threshold) {
    for (size_t i = 0; i < padded; i += 16) {
      f16 p = load(s + i) * inverse;
      store(s + i, p);
      store(dropped + i, p);
    }
    return;
  }
  for (size_t i = 0; i < padded; i += 16) {
    f16 p = load(s + i) * inverse;
    i16 keep = kept(key, i / 16, dropout.threshold);
    store(s + i, keep ? p : -p);
    store(dropped + i, select_lanes(keep, p * dropout.scale));
  }
}

KERNEL void kernel_softmax(
    float *scores, float *dropped, size_t rows, size_t n, size_t stride, kernel_dropout dropout) {
  size_t padded = (n + 15) / 16 * 16;
  for (size_t row = 0; row < rows; row++)
    softmax_row(
        scores + row * stride, dropped + row * stride, n, padded, dropout,
        dropout.threshold ? dropout.row_keys[row] : 0);
}

INLINE void softmax_backward_row(const float *s, float *g, float *d, size_t n, size_t padded, float dropout_scale) {
  // Behind n the probabilities are 0; the gradient there must be finite for the products to vanish.
  for (size_t i = n; i < padded; i++) g[i] = 0;
  f16 dot = 0;
  for (size_t i = 0; i < padded; i += 16) {
    f16 p = load(s + i);
    f16 after_dropout = select_lanes(float_to_bits(p) >= 0, p * dropout_scale);
    store(d + i, after_dropout);
    dot += after_dropout * load(g + i);
  }
  float row_dot = sum_lanes(dot);
  for (size_t i = 0; i < padded; i += 16) {
    // d score = |p| * (dropout'(gradient) - sum), where |p| * dropout'(gradient) = after_dropout * gradient.
    f16 magnitude = bits_to_float(float_to_bits(load(s + i)) & 0x7fffffff);
    store(g + i, load(d + i) * load(g + i) - magnitude * row_dot);
  }
}

KERNEL void kernel_softmax_backward(
    const float *signed_probabilities, float *gradient, float *dropped, size_t rows, size_t n, size_t stride,
    float dropout_scale) {
  size_t padded = (n + 15) / 16 * 16;
  for (size_t row = 0; row < rows; row++)
    softmax_backward_row(
        signed_probabilities + row * stride, gradient + row * stride, dropped + row * stride, n, padded, dropout_scale);
}

// Six query rows at a time go through scores, softmax and context, so that they stay in the first cache.

static size_t padded_to_columns(size_t count) { return (count + COLUMNS - 1) / COLUMNS * COLUMNS; }

size_t kernel_attention_scratch(size_t keys, size_t size) {
  return padded_to_columns(keys) * (2 * padded_to_columns(size) + ROWS);
}

KERNEL void kernel_attention(
    kernel_matrix query, kernel_matrix key, kernel_matrix value, kernel_matrix probabilities, kernel_matrix context,
    float scale, kernel_dropout dropout, float *scratch) {
  size_t n = key.rows, size = key.columns, padded = padded_to_columns(n);
  float *keys = scratch, *values = keys + padded * padded_to_columns(size);
  float *dropped = values + padded * padded_to_columns(size);
  for (size_t j = 0; j < n; j += COLUMNS)
    pack_transposed(key.values + j * key.stride, key.stride, size, n - j, keys + j * size);
  for (size_t j = 0; j < size; j += COLUMNS) pack_rows(value.values + j, value.stride, n, size - j, values + j * n);
  for (size_t i = 0; i < query.rows; i += ROWS) {
    size_t rows = query.rows - i < ROWS ? query.rows - i : ROWS;
    float *p = probabilities.values + i * probabilities.stride;
    for (size_t j = 0; j < n; j += COLUMNS)
      tile_rows(
          query.values + i * query.stride, query.stride, 1, keys + j * size, size, p + j, probabilities.stride, scale, 0,
          COLUMNS, rows);
    for (size_t row = 0; row < rows; row++)
      softmax_row(
          p + row * probabilities.stride, dropped + row * padded, n, padded, dropout,
          dropout.threshold ? dropout.row_keys[i + row] : 0);
    for (size_t j = 0; j < size; j += COLUMNS)
      tile_rows(
          dropped, padded, 1, values + j * n, n, context.values + i * context.stride + j, context.stride, 1, 0, size - j,
          rows);
  }
}

KERNEL void kernel_attention_backward(
    kernel_matrix context_gradient, kernel_matrix key, kernel_matrix value, kernel_matrix signed_probabilities,
    kernel_matrix query_gradient, float *score_gradient, float *dropped, float scale, float dropout_scale,
    float *scratch) {
  size_t n = key.rows, size = key.columns, padded = padded_to_columns(n), stride = signed_probabilities.stride;
  float *values = scratch, *keys = values + padded * padded_to_columns(size);
  for (size_t j = 0; j < n; j += COLUMNS)
    pack_transposed(value.values + j * value.stride, value.stride, size, n - j, values + j * size);
  for (size_t j = 0; j < size; j += COLUMNS) pack_rows(key.values + j, key.stride, n, size - j, keys + j * n);
  for (size_t i = 0; i < context_gradient.rows; i += ROWS) {
    size_t rows = context_gradient.rows - i < ROWS ? context_gradient.rows - i : ROWS;
    float *g = score_gradient + i * stride;
    for (size_t j = 0; j < n; j += COLUMNS)
      tile_rows(
          context_gradient.values + i * context_gradient.stride, context_gradient.stride, 1, values + j * size, size,
          g + j, stride, 1, 0, COLUMNS, rows);
    for (size_t row = 0; row < rows; row++)
      softmax_backward_row(
          signed_probabilities.values + (i + row) * stride, g + row * stride, dropped + (i + row) * stride, n, padded,
          dropout_scale);
    for (size_t j = 0; j < size; j += COLUMNS)
      tile_rows(
          g, stride, 1, keys + j * n, n, query_gradient.values + i * query_gradient.stride + j, query_gradient.stride,
          scale, 0, size - j, rows);
  }
}
