#include "kernels.h"
#include "vector.h"

KERNEL void kernel_add_bias(float *values, const float *bias, size_t rows, size_t columns, size_t stride) {
  for (size_t row = 0; row < rows; row++) {
    float *v = values + row * stride;
    for (size_t i = 0; i < columns; i++) v[i] += bias[i];
  }
}

KERNEL void kernel_add_column_sums(
    const float *values, float *sums, size_t rows, size_t columns, size_t stride) {
  for (size_t i = 0; i < columns; i += 16) {
    size_t count = columns - i;
    f16 s = load_up_to(sums + i, count);
    for (size_t row = 0; row < rows; row++) s += load_up_to(values + row * stride + i, count);
    store_up_to(sums + i, s, count);
  }
}

KERNEL void kernel_add(float *target, const float *source, size_t count) {
  for (size_t i = 0; i < count; i++) target[i] += source[i];
}

const char *kernel_clone(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("x86-64-v4")) return "x86-64-v4";
  if (__builtin_cpu_supports("x86-64-v3")) return "x86-64-v3";
#endif
  return "baseline";
}
