#include "kernels.h"
#include "vector.h"

// Every rank updates its own replica: a fused multiply-add on one CPU type and not on another would let replicas drift.
#pragma clang fp contract(off)

typedef double d16 __attribute__((ext_vector_type(16)));

INLINE void adam_update(
    kernel_adam settings, float *parameters, const float *gradients, float *first_moment, float *second_moment,
    size_t count) {
#pragma clang fp contract(off)
  float keep1 = 1.0f - settings.beta1, keep2 = 1.0f - settings.beta2;
  for (size_t i = 0; i < count; i += 16) {
    size_t lanes = count - i;
    f16 g = load_up_to(gradients + i, lanes) * settings.gradient_scale;
    f16 m = load_up_to(first_moment + i, lanes) * settings.beta1 + g * keep1;
    f16 v = load_up_to(second_moment + i, lanes) * settings.beta2 + (g * g) * keep2;
    f16 p = load_up_to(parameters + i, lanes);
    f16 update = m / (__builtin_elementwise_sqrt(v) + settings.epsilon) + p * settings.weight_decay;
    store_up_to(first_moment + i, m, lanes);
    store_up_to(second_moment + i, v, lanes);
    store_up_to(parameters + i, p - update * settings.learning_rate, lanes);
  }
}

INLINE double sum_of_squares(const float *values, size_t count) {
#pragma clang fp contract(off)
  d16 sums = 0;
  for (size_t i = 0; i < count; i += 16) {
    d16 v = __builtin_convertvector(load_up_to(values + i, count - i), d16);
    sums += v * v;
  }
  double total = 0;
  for (int i = 0; i < 16; i++) total += sums[i];
  return total;
}

KERNEL void kernel_adam_update(
    kernel_adam settings, float *parameters, const float *gradients, float *first_moment, float *second_moment,
    size_t count) {
  adam_update(settings, parameters, gradients, first_moment, second_moment, count);
}

KERNEL double kernel_sum_of_squares(const float *values, size_t count) { return sum_of_squares(values, count); }

// For the test that compares the clones.

void kernel_adam_update_baseline(
    kernel_adam settings, float *parameters, const float *gradients, float *first_moment, float *second_moment,
    size_t count) {
  adam_update(settings, parameters, gradients, first_moment, second_moment, count);
}

double kernel_sum_of_squares_baseline(const float *values, size_t count) { return sum_of_squares(values, count); }
