#include "kernels.h"
#include "vector.h"

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

KERNEL void kernel_softmax_backward(
    const float *signed_probabilities, float *gradient, float *dropped, size_t rows, size_t n, size_t stride,
    float dropout_scale) {
  size_t padded = (n + 15) / 16 * 16;
  for (size_t row = 0; row < rows; row++) {
    const float *s = signed_probabilities + row * stride;
    float *g = gradient + row * stride, *d = dropped + row * stride;
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
      f16 p = load(s + i);
      // d score = |p| * (dropout'(gradient) - sum), where |p| * dropout'(gradient) = after_dropout * gradient.
      f16 magnitude = bits_to_float(float_to_bits(p) & 0x7fffffff);
      store(g + i, load(d + i) * load(g + i) - magnitude * row_dot);
    }
  }
}
