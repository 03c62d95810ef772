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

// sums += the rows of values, each times its weight, or as they are: `vectors` vectors side by side, which hide the latency of one sum;
// the last one has `last` lanes.
INLINE void add_rows_of(
    const float *values, const float *weights, float *sums, size_t rows, size_t last, size_t stride, const int weighted,
    const int vectors) {
  f16 s[4];
#pragma clang loop unroll(full)
  for (int j = 0; j < vectors; j++) s[j] = load_up_to(sums + 16 * j, j == vectors - 1 ? last : 16);
  for (size_t row = 0; row < rows; row++) {
    const float *v = values + row * stride;
#pragma clang loop unroll(full)
    for (int j = 0; j < vectors; j++) {
      f16 x = load_up_to(v + 16 * j, j == vectors - 1 ? last : 16);
      s[j] = weighted ? fma16(x, (f16)weights[row], s[j]) : s[j] + x;
    }
  }
#pragma clang loop unroll(full)
  for (int j = 0; j < vectors; j++) store_up_to(sums + 16 * j, s[j], j == vectors - 1 ? last : 16);
}

// sums (columns) += the rows of values, each times its weight; without weights, the rows as they are.
INLINE void add_rows(
    const float *values, const float *weights, float *sums, size_t rows, size_t columns, size_t stride, const int weighted) {
  size_t i = 0;
#define TAKE(n) \
  for (; i + 16 * n <= columns; i += 16 * n) add_rows_of(values + i, weights, sums + i, rows, 16, stride, weighted, n);
  TAKE(4)
  TAKE(3)
  TAKE(2)
  TAKE(1)
#undef TAKE
  if (i < columns) add_rows_of(values + i, weights, sums + i, rows, columns - i, stride, weighted, 1);
}

static void FUNCTION(add_column_sums)(const float *values, float *sums, size_t rows, size_t columns, size_t stride) {
  add_rows(values, 0, sums, rows, columns, stride, 0);
}

static void FUNCTION(add_weighted_column_sums)(
    const float *values, const float *weights, float *sums, size_t rows, size_t columns, size_t stride) {
  add_rows(values, weights, sums, rows, columns, stride, 1);
}

static void FUNCTION(multiply_rows)(const float *values, const float *factors, float *target, size_t rows, size_t columns) {
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

INLINE void sum_embeddings_rows(
    const int32_t *tokens, const float *words, const float *type, const float *positions, float *sums, size_t rows,
    size_t columns, const int whole) {
  for (size_t row = 0; row < rows; row++) {
    const float *word = words + (size_t)tokens[row] * columns, *position = positions + row * columns;
    float *sum = sums + row * columns;
    for (size_t i = 0; i < columns; i += 16) {
      size_t count = whole ? 16 : columns - i;
      store_up_to(sum + i, load_up_to(word + i, count) + load_up_to(type + i, count) + load_up_to(position + i, count), count);
    }
  }
}

static void FUNCTION(sum_embeddings)(
    const int32_t *tokens, const float *words, const float *type, const float *positions, float *sums, size_t rows,
    size_t columns) {
  WHOLE_OR_NOT(columns, sum_embeddings_rows(tokens, words, type, positions, sums, rows, columns, whole));
}

INLINE void add_embedding_gradients_rows(
    const int32_t *tokens, const float *sums, float *words, float *positions, size_t rows, size_t columns, const int whole) {
  for (size_t row = 0; row < rows; row++) {
    float *word = words + (size_t)tokens[row] * columns, *position = positions + row * columns;
    const float *sum = sums + row * columns;
    for (size_t i = 0; i < columns; i += 16) {
      size_t count = whole ? 16 : columns - i;
      f16 v = load_up_to(sum + i, count);
      store_up_to(word + i, load_up_to(word + i, count) + v, count);
      store_up_to(position + i, load_up_to(position + i, count) + v, count);
    }
  }
}

static void FUNCTION(add_embedding_gradients)(
    const int32_t *tokens, const float *sums, float *words, float *positions, size_t rows, size_t columns) {
  WHOLE_OR_NOT(columns, add_embedding_gradients_rows(tokens, sums, words, positions, rows, columns, whole));
}
