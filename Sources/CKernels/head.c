#include "kernels.h"
#include "vector.h"

KERNEL void kernel_tile_exponentials(
    float *logits, const float *bias, size_t rows, size_t width, size_t stride, float *row_maximum, float *row_sum,
    float *tile_maximum) {
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
    float rescale = shift == old ? 1.0f : exp16((f16)(old - shift))[0];
    row_sum[row] = row_sum[row] * rescale + sum_lanes(sums);
    row_maximum[row] = shift;
    tile_maximum[row] = shift;
  }
}

KERNEL void kernel_tile_gradient(
    float *values, const float *factors, float *bias_gradient, size_t rows, size_t width, size_t stride) {
  for (size_t i = 0; i < width; i += 16) {
    size_t count = width - i;
    f16 sums = load_up_to(bias_gradient + i, count);
    for (size_t row = 0; row < rows; row++) {
      float *v = values + row * stride + i;
      f16 x = load(v) * factors[row];
      store(v, x);
      sums += x;
    }
    store_up_to(bias_gradient + i, sums, count);
  }
}
