// Activations and their derivatives, with the bias in front of them.
#pragma once
#include "vector.h"

// Phi(-|x|) = exp(-x^2 / 2) q(t) with t = 1 / (1 + 0.33 |x|): q is the minimax fit of degree 9 to erfcx(|x| / sqrt 2) / 2 on
// [0, 14], relative error 5.5e-8 before rounding. GELU is then at most 2e-7 |x| off, its derivative at most 2e-7 (1 + |x|)
// (found: 1.5e-7 and 1.4e-7).
INLINE f16 gelu(f16 x, f16 *derivative) {
  f16 magnitude = x < 0.0f ? -x : x;
  f16 t = 1.0f / fma16(magnitude, (f16)0.33f, (f16)1.0f);
  f16 density = exp16(-0.5f * x * x);
  f16 q = fma16(t, (f16)-0x1.54e926p-6f, (f16)0x1.f82272p-4f);
  q = fma16(q, t, (f16)-0x1.11992ep-2f);
  q = fma16(q, t, (f16)0x1.cc0b0cp-3f);
  q = fma16(q, t, (f16)-0x1.cf1136p-5f);
  q = fma16(q, t, (f16)0x1.f2f8c2p-4f);
  q = fma16(q, t, (f16)0x1.c6ecfap-4f);
  q = fma16(q, t, (f16)0x1.0ef4c4p-3f);
  q = fma16(q, t, (f16)0x1.0d8fecp-3f);
  f16 tail = q * t * density;
  f16 phi = x < 0.0f ? tail : 1.0f - tail;
  *derivative = fma16(x * density, (f16)0.398942280401432678f, phi);
  return x * phi;
}

// At most 2e-7 off (found: 0.9e-7, or 8 ulp near 0.02).
INLINE f16 hyperbolic_tangent(f16 x, f16 *derivative) {
  f16 magnitude = x < 0.0f ? -x : x;
  f16 e = exp16(-2.0f * magnitude);
  // Below 0.02 the quotient cancels; the series is exact to rounding there.
  f16 small = fma16(magnitude * magnitude * magnitude, (f16)-0.333333343f, magnitude);
  f16 y = magnitude < 0.02f ? small : (1.0f - e) / (1.0f + e);
  y = x < 0.0f ? -y : y;
  *derivative = fma16(-y, y, (f16)1.0f);
  return y;
}

INLINE f16 activate(f16 x, kernel_activation activation, f16 *derivative) {
  switch (activation) {
  case KERNEL_GELU:
    return gelu(x, derivative);
  case KERNEL_TANH:
    return hyperbolic_tangent(x, derivative);
  case KERNEL_RELU:
    *derivative = x > 0.0f ? (f16)1.0f : (f16)0.0f;
    // A NaN stays one.
    return x < 0.0f ? (f16)0.0f : x;
  case KERNEL_LINEAR:
    break;
  }
  *derivative = 1.0f;
  return x;
}

INLINE void rows_of_one_activation(
    float *values, const float *bias, kernel_activation activation, float *derivative, size_t rows, size_t columns,
    const int whole) {
  for (size_t row = 0; row < rows; row++) {
    float *v = values + row * columns, *d = derivative ? derivative + row * columns : 0;
    for (size_t i = 0; i < columns; i += 16) {
      size_t count = whole ? 16 : columns - i;
      f16 slope, y = activate(load_up_to(v + i, count) + load_up_to(bias + i, count), activation, &slope);
      store_up_to(v + i, y, count);
      if (d) store_up_to(d + i, slope, count);
    }
  }
}

static void FUNCTION(bias_activation)(
    float *values, const float *bias, kernel_activation activation, float *derivative, size_t rows, size_t columns) {
  // Each case with a constant, so that the choice is made once, not in the loop.
  switch (activation) {
  case KERNEL_GELU:
    WHOLE_OR_NOT(columns, rows_of_one_activation(values, bias, KERNEL_GELU, derivative, rows, columns, whole));
    break;
  case KERNEL_RELU:
    WHOLE_OR_NOT(columns, rows_of_one_activation(values, bias, KERNEL_RELU, derivative, rows, columns, whole));
    break;
  case KERNEL_TANH:
    WHOLE_OR_NOT(columns, rows_of_one_activation(values, bias, KERNEL_TANH, derivative, rows, columns, whole));
    break;
  case KERNEL_LINEAR:
    WHOLE_OR_NOT(columns, rows_of_one_activation(values, bias, KERNEL_LINEAR, derivative, rows, columns, whole));
    break;
  }
}

INLINE void activation_backward_rows(
    float *gradient, const float *derivative, float *bias_gradient, size_t rows, size_t columns, const int whole) {
  for (size_t row = 0; row < rows; row++) {
    float *g = gradient + row * columns;
    const float *d = derivative + row * columns;
    for (size_t i = 0; i < columns; i += 16) {
      size_t count = whole ? 16 : columns - i;
      f16 x = load_up_to(g + i, count) * load_up_to(d + i, count);
      store_up_to(g + i, x, count);
      store_up_to(bias_gradient + i, load_up_to(bias_gradient + i, count) + x, count);
    }
  }
}

static void FUNCTION(activation_backward)(
    float *gradient, const float *derivative, float *bias_gradient, size_t rows, size_t columns) {
  WHOLE_OR_NOT(columns, activation_backward_rows(gradient, derivative, bias_gradient, rows, columns, whole));
}
