// LayerNorm with what stands around it: bias, dropout, residual.
#pragma once
#include "vector.h"

// x = dropout(input + bias) + residual for lanes i ... i + 15 of a row.
INLINE f16 residual_sum(
    const float *input, const float *input_bias, const float *residual, kernel_dropout dropout, uint64_t key, size_t i,
    size_t count) {
  f16 x = load_up_to(input + i, count);
  if (input_bias) x += load_up_to(input_bias + i, count);
  if (dropout.threshold) x = select_lanes(kept(key, i / 16, dropout.threshold), x * dropout.scale);
  if (residual) x += load_up_to(residual + i, count);
  return x;
}

INLINE void residual_norm_rows(
    const float *input, const float *input_bias, const float *residual, const float *weight, const float *bias, float epsilon,
    kernel_dropout input_dropout, kernel_dropout output_dropout, float *output, float *normalized, float *inverse_deviation,
    size_t rows, size_t columns, const int whole) {
  for (size_t row = 0; row < rows; row++) {
    const float *in = input + row * columns;
    const float *res = residual ? residual + row * columns : 0;
    float *norm = normalized + row * columns, *out = output + row * columns;
    uint64_t key = input_dropout.threshold ? input_dropout.row_keys[row] : 0;
    uint64_t out_key = output_dropout.threshold ? output_dropout.row_keys[row] : 0;
    f16 sums = 0;
    for (size_t i = 0; i < columns; i += 16) {
      size_t count = whole ? 16 : columns - i;
      f16 x = residual_sum(in, input_bias, res, input_dropout, key, i, count);
      store_up_to(norm + i, x, count);
      sums += x;
    }
    float mean = sum_lanes(sums) / (float)columns;
    f16 squares = 0;
    for (size_t i = 0; i < columns; i += 16) {
      size_t count = whole ? 16 : columns - i;
      f16 d = load_up_to(norm + i, count) - mean;
      if (count < 16)
        for (size_t j = count; j < 16; j++) d[j] = 0;
      squares = fma16(d, d, squares);
    }
    float inverse = 1.0f / __builtin_elementwise_sqrt(sum_lanes(squares) / (float)columns + epsilon);
    inverse_deviation[row] = inverse;
    for (size_t i = 0; i < columns; i += 16) {
      size_t count = whole ? 16 : columns - i;
      f16 x = (load_up_to(norm + i, count) - mean) * inverse;
      store_up_to(norm + i, x, count);
      f16 y = fma16(x, load_up_to(weight + i, count), load_up_to(bias + i, count));
      if (output_dropout.threshold) y = select_lanes(kept(out_key, i / 16, output_dropout.threshold), y * output_dropout.scale);
      store_up_to(out + i, y, count);
    }
  }
}

static void FUNCTION(residual_norm)(
    const float *input, const float *input_bias, const float *residual, const float *weight, const float *bias, float epsilon,
    kernel_dropout input_dropout, kernel_dropout output_dropout, float *output, float *normalized, float *inverse_deviation,
    size_t rows, size_t columns) {
  WHOLE_OR_NOT(
      columns, residual_norm_rows(
                   input, input_bias, residual, weight, bias, epsilon, input_dropout, output_dropout, output, normalized,
                   inverse_deviation, rows, columns, whole));
}

INLINE void residual_norm_backward_rows(
    const float *output_gradient, const float *normalized, const float *inverse_deviation, const float *weight,
    kernel_dropout input_dropout, kernel_dropout output_dropout, float *residual_gradient, float *input_gradient,
    float *weight_gradient, float *bias_gradient, float *input_bias_gradient, size_t rows, size_t columns, const int whole) {
  for (size_t row = 0; row < rows; row++) {
    const float *dy_row = output_gradient + row * columns, *norm = normalized + row * columns;
    float *dres = residual_gradient + row * columns;
    float *din = input_gradient ? input_gradient + row * columns : 0;
    uint64_t key = input_dropout.threshold ? input_dropout.row_keys[row] : 0;
    uint64_t out_key = output_dropout.threshold ? output_dropout.row_keys[row] : 0;
    // With g = dy * weight: dx = (g - mean(g) - normalized * mean(g * normalized)) / deviation.
    f16 sum_g = 0, sum_gx = 0;
    for (size_t i = 0; i < columns; i += 16) {
      size_t count = whole ? 16 : columns - i;
      f16 dy = load_up_to(dy_row + i, count), x = load_up_to(norm + i, count);
      if (output_dropout.threshold) dy = select_lanes(kept(out_key, i / 16, output_dropout.threshold), dy * output_dropout.scale);
      store_up_to(weight_gradient + i, fma16(dy, x, load_up_to(weight_gradient + i, count)), count);
      store_up_to(bias_gradient + i, load_up_to(bias_gradient + i, count) + dy, count);
      f16 g = dy * load_up_to(weight + i, count);
      store_up_to(dres + i, g, count);
      sum_g += g;
      sum_gx = fma16(g, x, sum_gx);
    }
    float mean_g = sum_lanes(sum_g) / (float)columns, mean_gx = sum_lanes(sum_gx) / (float)columns;
    float inverse = inverse_deviation[row];
    for (size_t i = 0; i < columns; i += 16) {
      size_t count = whole ? 16 : columns - i;
      f16 dx = fma16(load_up_to(norm + i, count), (f16)-mean_gx, load_up_to(dres + i, count) - mean_g) * inverse;
      store_up_to(dres + i, dx, count);
      if (!din) continue;
      if (input_dropout.threshold) dx = select_lanes(kept(key, i / 16, input_dropout.threshold), dx * input_dropout.scale);
      store_up_to(din + i, dx, count);
      if (input_bias_gradient) store_up_to(input_bias_gradient + i, load_up_to(input_bias_gradient + i, count) + dx, count);
    }
  }
}

static void FUNCTION(residual_norm_backward)(
    const float *output_gradient, const float *normalized, const float *inverse_deviation, const float *weight,
    kernel_dropout input_dropout, kernel_dropout output_dropout, float *residual_gradient, float *input_gradient,
    float *weight_gradient, float *bias_gradient, float *input_bias_gradient, size_t rows, size_t columns) {
  WHOLE_OR_NOT(
      columns, residual_norm_backward_rows(
                   output_gradient, normalized, inverse_deviation, weight, input_dropout, output_dropout, residual_gradient,
                   input_gradient, weight_gradient, bias_gradient, input_bias_gradient, rows, columns, whole));
}
