// The update, and sums for its norm. Every rank computes these for its own replica: no fused multiply-add here, so that even the
// baseline clone gives the same bits.
#pragma once
#include "vector.h"

typedef double d16 __attribute__((ext_vector_type(16)));

// The lanes' sums as one number. A single changed bit moves one lane by a power of two below 2^32; an odd factor keeps that from
// vanishing in 64 bits.
INLINE uint64_t fold_bits(u16 sums) {
  uint64_t total = 0, factor = 1;
  for (int i = 0; i < 16; i++, factor *= 0x9E3779B97F4A7C15u) total += sums[i] * factor;
  return total;
}

static kernel_bit_sums FUNCTION(adam_update)(
    kernel_adam settings, float *parameters, const float *gradients, float *first_moment, float *second_moment, size_t count) {
  u16 before = 0, after = 0;
  for (size_t i = 0; i < count; i += 16) {
    size_t lanes = count - i;
    f16 g = load_up_to(gradients + i, lanes) * settings.gradient_scale;
    f16 m = load_up_to(first_moment + i, lanes), v = load_up_to(second_moment + i, lanes);
    f16 p = load_up_to(parameters + i, lanes);
    before += (u16)float_to_bits(p) + (u16)float_to_bits(m) + (u16)float_to_bits(v);
    m = m * settings.beta1 + g * settings.gradient_weight1;
    v = v * settings.beta2 + (g * g) * settings.gradient_weight2;
    f16 update = m / (__builtin_elementwise_sqrt(v) + settings.epsilon) + p * settings.weight_decay;
    p = p - update * settings.learning_rate;
    after += (u16)float_to_bits(p) + (u16)float_to_bits(m) + (u16)float_to_bits(v);
    store_up_to(first_moment + i, m, lanes);
    store_up_to(second_moment + i, v, lanes);
    store_up_to(parameters + i, p, lanes);
  }
  return (kernel_bit_sums){fold_bits(before), fold_bits(after)};
}

static uint64_t FUNCTION(bit_sum)(const float *parameters, const float *first_moment, const float *second_moment, size_t count) {
  u16 sums = 0;
  for (size_t i = 0; i < count; i += 16) {
    size_t lanes = count - i;
    sums += (u16)float_to_bits(load_up_to(parameters + i, lanes)) + (u16)float_to_bits(load_up_to(first_moment + i, lanes)) +
            (u16)float_to_bits(load_up_to(second_moment + i, lanes));
  }
  return fold_bits(sums);
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
