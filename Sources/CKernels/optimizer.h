// The update, and sums for its norm. Every rank computes these for its own replica: no fused multiply-add here, so that even the
// baseline clone gives the same bits.
#pragma once
#include "vector.h"

typedef double d16 __attribute__((ext_vector_type(16)));

static void FUNCTION(adam_update)(
    kernel_adam settings, float *parameters, const float *gradients, float *first_moment, float *second_moment,
    size_t count) {
  for (size_t i = 0; i < count; i += 16) {
    size_t lanes = count - i;
    f16 g = load_up_to(gradients + i, lanes) * settings.gradient_scale;
    f16 m = load_up_to(first_moment + i, lanes) * settings.beta1 + g * settings.gradient_weight1;
    f16 v = load_up_to(second_moment + i, lanes) * settings.beta2 + (g * g) * settings.gradient_weight2;
    f16 p = load_up_to(parameters + i, lanes);
    f16 update = m / (__builtin_elementwise_sqrt(v) + settings.epsilon) + p * settings.weight_decay;
    store_up_to(first_moment + i, m, lanes);
    store_up_to(second_moment + i, v, lanes);
    store_up_to(parameters + i, p - update * settings.learning_rate, lanes);
  }
}

static double FUNCTION(sum_of_squares)(const float *values, size_t count) {
  d16 sums = 0;
  for (size_t i = 0; i < count; i += 16) {
    d16 v = __builtin_convertvector(load_up_to(values + i, count - i), d16);
    sums += v * v;
  }
  double total = 0;
  for (int i = 0; i < 16; i++) total += sums[i];
  return total;
}
