// Softmax with dropout, and one head of attention: query rows go through scores, softmax and context a tile's rows at a time, so that
// they stay in the first cache.
#pragma once
#include "product.h"

// Query rows whose probabilities' gradients are kept at once in the backward pass. It shapes the order of additions.
enum { QUERY_ROWS = 48 };

INLINE size_t padded_to_16(size_t count) { return (count + 15) / 16 * 16; }

// scores (rows, n) become probabilities, negative where dropped, and `dropped` what dropout leaves of them; at most SOFTMAX_ROWS.
INLINE void softmax_rows(
    float *scores, size_t stride, float *dropped, size_t dropped_stride, size_t rows, size_t n, kernel_dropout dropout,
    const uint64_t *keys) {
  size_t padded = padded_to_16(n);
  float shifts[SOFTMAX_ROWS], inverses[SOFTMAX_ROWS];
  for (size_t row = 0; row < rows; row++) {
    float *s = scores + row * stride;
    for (size_t i = n; i < padded; i++) s[i] = -__builtin_inff();
    f16 highest = load(s);
    for (size_t i = 16; i < padded; i += 16) highest = maximum(load(s + i), highest);
    shifts[row] = max_lanes(highest);
  }
  for (size_t row = 0; row < rows; row++) {
    float *s = scores + row * stride;
    f16 sums = 0;
    for (size_t i = 0; i < padded; i += 16) {
      f16 e = exp16(load(s + i) - shifts[row]);
      store(s + i, e);
      sums += e;
    }
    inverses[row] = 1.0f / sum_lanes(sums);
  }
  for (size_t row = 0; row < rows; row++) {
    float *s = scores + row * stride, *d = dropped + row * dropped_stride;
    if (!dropout.threshold) {
      for (size_t i = 0; i < padded; i += 16) {
        f16 p = load(s + i) * inverses[row];
        store(s + i, p);
        store(d + i, p);
      }
      continue;
    }
    for (size_t i = 0; i < padded; i += 16) {
      f16 p = load(s + i) * inverses[row];
      i16 keep = kept(keys[row], i / 16, dropout.threshold);
      store(s + i, keep ? p : -p);
      store(d + i, select_lanes(keep, p * dropout.scale));
    }
  }
}

static void FUNCTION(softmax)(float *scores, float *dropped, size_t rows, size_t n, size_t stride, kernel_dropout dropout) {
  for (size_t row = 0; row < rows; row += SOFTMAX_ROWS)
    softmax_rows(
        scores + row * stride, stride, dropped + row * stride, stride, at_most(rows - row, SOFTMAX_ROWS), n, dropout,
        dropout.threshold ? dropout.row_keys + row : 0);
}

// g (rows, n), the gradient after dropout, becomes that of the scores, and d what dropout had left of the probabilities s.
INLINE void softmax_backward_rows(
    const float *s, size_t s_stride, float *g, float *d, size_t stride, size_t rows, size_t n, float dropout_scale) {
  size_t padded = padded_to_16(n);
  float dots[SOFTMAX_ROWS];
  for (size_t row = 0; row < rows; row++) {
    const float *probabilities = s + row * s_stride;
    float *gradient = g + row * stride, *dropped = d + row * stride;
    // Behind n the probabilities are 0; the gradient there must be finite for the products to vanish.
    for (size_t i = n; i < padded; i++) gradient[i] = 0;
    f16 dot = 0;
    for (size_t i = 0; i < padded; i += 16) {
      f16 p = load(probabilities + i);
      f16 after_dropout = select_lanes(float_to_bits(p) >= 0, p * dropout_scale);
      store(dropped + i, after_dropout);
      dot = fma16(after_dropout, load(gradient + i), dot);
    }
    dots[row] = sum_lanes(dot);
  }
  for (size_t row = 0; row < rows; row++) {
    const float *probabilities = s + row * s_stride;
    float *gradient = g + row * stride, *dropped = d + row * stride;
    for (size_t i = 0; i < padded; i += 16) {
      // d score = |p| * (dropout'(gradient) - sum), where |p| * dropout'(gradient) = after_dropout * gradient.
      f16 magnitude = bits_to_float(float_to_bits(load(probabilities + i)) & 0x7fffffff);
      store(gradient + i, fma16(-magnitude, (f16)dots[row], load(dropped + i) * load(gradient + i)));
    }
  }
}

static void FUNCTION(softmax_backward)(
    const float *signed_probabilities, float *gradient, float *dropped, size_t rows, size_t n, size_t stride,
    float dropout_scale) {
  for (size_t row = 0; row < rows; row += SOFTMAX_ROWS)
    softmax_backward_rows(
        signed_probabilities + row * stride, stride, gradient + row * stride, dropped + row * stride, stride,
        at_most(rows - row, SOFTMAX_ROWS), n, dropout_scale);
}

// Floats for the keys and values of a head, packed, for rows of probabilities and of their gradients, and for a strip of query rows.
static size_t FUNCTION(attention_scratch)(size_t keys, size_t size) {
  return padded_to_16(keys) * 2 * padded_to_16(size) + QUERY_ROWS * (2 * padded_to_16(keys) + padded_to_16(size));
}

static void FUNCTION(attention)(
    kernel_matrix query, kernel_matrix key, kernel_matrix value, kernel_matrix probabilities, kernel_matrix context, float scale,
    kernel_dropout dropout, float *scratch) {
  size_t n = key.rows, size = key.columns, padded = padded_to_16(n), stride = probabilities.stride;
  float *keys = scratch, *values = keys + padded * padded_to_16(size);
  float *dropped = values + padded * padded_to_16(size);
  pack_right(key, 1, 0, size, 0, n, keys);
  pack_right(value, 0, 0, n, 0, size, values);
  for (size_t i = 0; i < query.rows; i += ROWS) {
    size_t rows = at_most(query.rows - i, ROWS);
    float *p = probabilities.values + i * stride;
    left_operand q = {query.values + i * query.stride, query.stride, 1};
    for (size_t j = 0; j < padded; j += COLUMNS)
      any_tile(q, packed_panels(keys + j * size, size), size, (result){p + j, stride, scale, 0, 0}, padded - j, rows);
    softmax_rows(p, stride, dropped, padded, rows, n, dropout, dropout.threshold ? dropout.row_keys + i : 0);
    for (size_t j = 0; j < size; j += COLUMNS)
      any_tile(
          (left_operand){dropped, padded, 1}, packed_panels(values + j * n, n), n,
          (result){context.values + i * context.stride + j, context.stride, 1, 0, 0}, size - j, rows);
  }
}

// c (rows, columns) = or += scale * strip^T (rows, inner) B, of which B stands in panels: the gradient of keys or values from a strip
// of `inner` query rows, whose numbers for one key stand `stride` apart.
INLINE void add_strip(
    const float *strip, size_t stride, const float *b, size_t inner, kernel_matrix c, float scale, int accumulates) {
  for (size_t j = 0; j < c.columns; j += COLUMNS)
    for (size_t i = 0; i < c.rows; i += ROWS)
      any_tile(
          (left_operand){strip + i, 1, stride}, packed_panels(b + j * inner, inner), inner,
          (result){c.values + i * c.stride + j, c.stride, scale, accumulates, 0}, c.columns - j, c.rows - i);
}

static void FUNCTION(attention_backward)(
    kernel_matrix context_gradient, kernel_matrix query, kernel_matrix key, kernel_matrix value,
    kernel_matrix signed_probabilities, kernel_matrix query_gradient, kernel_matrix key_gradient, kernel_matrix value_gradient,
    float scale, float dropout_scale, float *scratch) {
  size_t n = key.rows, size = key.columns, padded = padded_to_16(n);
  float *values = scratch, *keys = values + padded * padded_to_16(size);
  float *gradients = keys + padded * padded_to_16(size), *dropped = gradients + QUERY_ROWS * padded;
  float *strip = dropped + QUERY_ROWS * padded;
  pack_right(value, 1, 0, size, 0, n, values);
  pack_right(key, 0, 0, n, 0, size, keys);
  for (size_t first = 0; first < query.rows; first += QUERY_ROWS) {
    size_t count = at_most(query.rows - first, QUERY_ROWS);
    kernel_matrix dy = {context_gradient.values + first * context_gradient.stride, count, size, context_gradient.stride};
    kernel_matrix q = {query.values + first * query.stride, count, size, query.stride};
    for (size_t i = 0; i < count; i += ROWS) {
      size_t rows = at_most(count - i, ROWS);
      float *g = gradients + i * padded;
      // The next rows of what the forward pass left long ago; behind this head's stand the next one's.
      prefetch(
          signed_probabilities.values + (first + i + rows) * signed_probabilities.stride, ROWS * signed_probabilities.stride);
      for (size_t j = 0; j < padded; j += COLUMNS)
        any_tile(
            (left_operand){dy.values + i * dy.stride, dy.stride, 1}, packed_panels(values + j * size, size), size,
            (result){g + j, padded, 1, 0, 0}, padded - j, rows);
      softmax_backward_rows(
          signed_probabilities.values + (first + i) * signed_probabilities.stride, signed_probabilities.stride, g,
          dropped + i * padded, padded, rows, n, dropout_scale);
      for (size_t j = 0; j < size; j += COLUMNS)
        any_tile(
            (left_operand){g, padded, 1}, packed_panels(keys + j * n, n), n,
            (result){query_gradient.values + (first + i) * query_gradient.stride + j, query_gradient.stride, scale, 0, 0},
            size - j, rows);
    }
    pack_right(dy, 0, 0, count, 0, size, strip);
    add_strip(dropped, padded, strip, count, value_gradient, 1, first > 0);
    pack_right(q, 0, 0, count, 0, size, strip);
    add_strip(gradients, padded, strip, count, key_gradient, scale, first > 0);
  }
}
