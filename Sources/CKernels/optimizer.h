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

// Updates without a gradient: those of adam_update with gradients of 0, one after the other, so that it is of no consequence in how
// many calls they are done. Besides, a first moment that is at most `spent` becomes 0. From then on there is nothing to divide.
static kernel_bit_sums FUNCTION(adam_idle)(
    kernel_adam settings, const float *rates, size_t steps, float spent, float *parameters, float *first_moment,
    float *second_moment, size_t count) {
  enum { between = 8 };  // updates between two looks at whether moments are spent
  u16 before = 0, after = 0;
  f16 zero = 0;
  // Two vectors at a time: each update waits for the one before it.
  for (size_t i = 0; i < count; i += 32) {
    f16 p[2] = {0, 0}, m[2] = {0, 0}, v[2] = {0, 0};
    size_t parts = count - i > 16 ? 2 : 1;
    for (size_t k = 0; k < parts; k++) {
      size_t place = i + 16 * k, lanes = count - place;
      m[k] = load_up_to(first_moment + place, lanes), v[k] = load_up_to(second_moment + place, lanes);
      p[k] = load_up_to(parameters + place, lanes);
      before += (u16)float_to_bits(p[k]) + (u16)float_to_bits(m[k]) + (u16)float_to_bits(v[k]);
    }
    size_t step = 0;
    while (step < steps && __builtin_reduce_or(float_to_bits(m[0]) | float_to_bits(m[1])) != 0) {
      for (size_t end = steps - step > between ? step + between : steps; step < end; step++) {
        for (int k = 0; k < 2; k++) {
          m[k] = m[k] * settings.beta1 + zero;
          v[k] = v[k] * settings.beta2;
          f16 update = m[k] / (__builtin_elementwise_sqrt(v[k]) + settings.epsilon) + p[k] * settings.weight_decay;
          p[k] = p[k] - update * rates[step];
          m[k] = __builtin_elementwise_abs(m[k]) > spent ? m[k] : zero;
        }
      }
    }
    // 0 + what is below: as the division by something positive would have left it.
    if (settings.weight_decay != 0) {
      for (size_t s = step; s < steps; s++) {
        for (int k = 0; k < 2; k++) p[k] = p[k] - (zero + p[k] * settings.weight_decay) * rates[s];
      }
    }
    if (__builtin_reduce_or(float_to_bits(v[0]) | float_to_bits(v[1])) != 0) {
      for (; step < steps; step++) {
        for (int k = 0; k < 2; k++) v[k] = v[k] * settings.beta2;
      }
    }
    for (size_t k = 0; k < parts; k++) {
      size_t place = i + 16 * k, lanes = count - place;
      after += (u16)float_to_bits(p[k]) + (u16)float_to_bits(m[k]) + (u16)float_to_bits(v[k]);
      store_up_to(first_moment + place, m[k], lanes);
      store_up_to(second_moment + place, v[k], lanes);
      store_up_to(parameters + place, p[k], lanes);
    }
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
