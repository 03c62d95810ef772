// Biases, sums of rows, and the embeddings' sums.
#pragma once
#include "vector.h"

static void FUNCTION(add_bias)(float *values, const float *bias, size_t rows, size_t columns, size_t stride) {
  for (size_t row = 0; row < rows; row++) {
    float *v = values + row * stride;
    for (size_t i = 0; i < columns; i += 16)
      store_up_to(v + i, load_up_to(v + i, columns - i) + load_up_to(bias + i, columns - i), columns - i);
  }
}

// sums (columns) += the rows of values, each times its weight; without weights, the rows as they are. Four vectors side by side
// hide the latency of one sum.
INLINE void add_rows(
    const float *values, const float *weights, float *sums, size_t rows, size_t columns, size_t stride) {
  size_t i = 0;
  for (; i + 64 <= columns; i += 64) {
    f16 s[4];
    for (int j = 0; j < 4; j++) s[j] = load(sums + i + 16 * j);
    for (size_t row = 0; row < rows; row++) {
      const float *v = values + row * stride + i;
      for (int j = 0; j < 4; j++)
        s[j] = weights ? fma16(load(v + 16 * j), (f16)weights[row], s[j]) : s[j] + load(v + 16 * j);
    }
    for (int j = 0; j < 4; j++) store(sums + i + 16 * j, s[j]);
  }
  for (; i < columns; i += 16) {
    size_t count = columns - i;
    f16 s = load_up_to(sums + i, count);
    for (size_t row = 0; row < rows; row++) {
      f16 v = load_up_to(values + row * stride + i, count);
      s = weights ? fma16(v, (f16)weights[row], s) : s + v;
    }
    store_up_to(sums + i, s, count);
  }
}

static void FUNCTION(add_column_sums)(const float *values, float *sums, size_t rows, size_t columns, size_t stride) {
  add_rows(values, 0, sums, rows, columns, stride);
}

static void FUNCTION(add_weighted_column_sums)(
    const float *values, const float *weights, float *sums, size_t rows, size_t columns, size_t stride) {
  add_rows(values, weights, sums, rows, columns, stride);
}

static void FUNCTION(multiply_rows)(
    const float *values, const float *factors, float *target, size_t rows, size_t columns) {
  for (size_t row = 0; row < rows; row++)
    for (size_t i = 0; i < columns; i += 16) {
      size_t place = row * columns + i, count = columns - i;
      store_up_to(target + place, load_up_to(values + place, count) * factors[row], count);
    }
}

static void FUNCTION(add)(float *target, const float *source, size_t count) {
  for (size_t i = 0; i < count; i += 16)
    store_up_to(target + i, load_up_to(target + i, count - i) + load_up_to(source + i, count - i), count - i);
}

static void FUNCTION(sum_embeddings)(
    const int32_t *tokens, const float *words, const float *type, const float *positions, float *sums, size_t rows,
    size_t columns) {
  for (size_t row = 0; row < rows; row++) {
    const float *word = words + (size_t)tokens[row] * columns, *position = positions + row * columns;
    float *sum = sums + row * columns;
    for (size_t i = 0; i < columns; i += 16) {
      size_t count = columns - i;
      store_up_to(
          sum + i, load_up_to(word + i, count) + load_up_to(type + i, count) + load_up_to(position + i, count), count);
    }
  }
}

static void FUNCTION(add_embedding_gradients)(
    const int32_t *tokens, const float *sums, float *words, float *positions, size_t rows, size_t columns) {
  for (size_t row = 0; row < rows; row++) {
    float *word = words + (size_t)tokens[row] * columns, *position = positions + row * columns;
    const float *sum = sums + row * columns;
    for (size_t i = 0; i < columns; i += 16) {
      size_t count = columns - i;
      f16 v = load_up_to(sum + i, count);
      store_up_to(word + i, load_up_to(word + i, count) + v, count);
      store_up_to(position + i, load_up_to(position + i, count) + v, count);
    }
  }
}
