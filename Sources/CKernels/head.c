#include "kernels.h"
#include "vector.h"

KERNEL void kernel_tile_exponentials(
    float *logits, const float *bias, size_t rows, size_t width, size_t stride, float *row_maximum, float *row_sum,
    float *tile_maximum, float *rescale) {
  size_t whole = width / 16 * 16, padded = (width + 15) / 16 * 16;
  for (size_t row = 0; row < rows; row++) {
    float *z = logits + row * stride;
    f16 highest = -__builtin_inff();
    for (size_t i = 0; i < whole; i += 16) {
      f16 v = load(z + i) + load(bias + i);
      store(z + i, v);
      highest = maximum(v, highest);
    }
    if (whole < padded) {
      f16 v = load(z + whole) + load_part(bias + whole, width - whole);
      for (size_t j = width - whole; j < 16; j++) v[j] = -__builtin_inff();
      store(z + whole, v);
      highest = maximum(v, highest);
    }
    float old = row_maximum[row], top = max_lanes(highest);
    float shift = top > old ? top : old;
    f16 sums = 0;
    for (size_t i = 0; i < padded; i += 16) {
      f16 e = exp16(load(z + i) - shift);
      store(z + i, e);
      sums += e;
    }
    float factor = shift == old ? 1.0f : exp16((f16)(old - shift))[0];
    rescale[row] = factor;
    row_sum[row] = row_sum[row] * factor + sum_lanes(sums);
    row_maximum[row] = shift;
    tile_maximum[row] = shift;
  }
}

KERNEL void kernel_multiply_rows(
    const float *values, const float *factors, float *target, size_t rows, size_t columns) {
  for (size_t row = 0; row < rows; row++)
    for (size_t i = 0; i < columns; i++) target[row * columns + i] = values[row * columns + i] * factors[row];
}

KERNEL void kernel_add_weighted_column_sums(
    const float *values, const float *weights, float *sums, size_t rows, size_t columns, size_t stride) {
  // Four vectors side by side hide the latency of one sum.
  size_t i = 0;
  for (; i + 64 <= columns; i += 64) {
    f16 a = load(sums + i), b = load(sums + i + 16), c = load(sums + i + 32), d = load(sums + i + 48);
    for (size_t row = 0; row < rows; row++) {
      const float *v = values + row * stride + i;
      float w = weights[row];
      a += load(v) * w;
      b += load(v + 16) * w;
      c += load(v + 32) * w;
      d += load(v + 48) * w;
    }
    store(sums + i, a);
    store(sums + i + 16, b);
    store(sums + i + 32, c);
    store(sums + i + 48, d);
  }
  for (; i < columns; i += 16) {
    size_t count = columns - i;
    f16 s = load_up_to(sums + i, count);
    for (size_t row = 0; row < rows; row++) s += load_up_to(values + row * stride + i, count) * weights[row];
    store_up_to(sums + i, s, count);
  }
}
