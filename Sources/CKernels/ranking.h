// What an evaluation asks of one row of scores. Nothing is fused here, so that all clones give the same bits.
#pragma once
#include "vector.h"

static kernel_score_summary FUNCTION(score_summary)(const float *scores, size_t count, float compared) {
  i16 greater = 0, equal = 0, worst = 0;
  f16 largest = -__builtin_inff();
  size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    f16 v = load(scores + i);
    i16 magnitude = float_to_bits(v) & 0x7fffffff;
    worst = magnitude > worst ? magnitude : worst;
    greater -= v > compared;
    equal -= v == compared;
    largest = maximum(v, largest);
  }
  kernel_score_summary result = {0, 0, max_lanes(largest), 1};
  for (int lane = 0; lane < 16; lane++) {
    result.greater += (size_t)greater[lane];
    result.equal += (size_t)equal[lane];
    if (worst[lane] >= 0x7f800000) result.is_finite = 0;
  }
  for (; i < count; i++) {
    float v = scores[i];
    if (!__builtin_isfinite(v)) result.is_finite = 0;
    result.greater += v > compared;
    result.equal += v == compared;
    if (v > result.maximum) result.maximum = v;
  }
  return result;
}

// exp of numbers <= 0, below -87 as -87: range reduction and polynomial of Cephes' expf (relative error below 2e-7).
INLINE f8 unfused_exp(f8 x) {
  x = x < -87.0f ? (f8)-87.0f : x;
  const float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to a whole number, which then stands in the low bits
  f8 shifted = x * 1.44269504f + magic;
  f8 whole = shifted - magic;
  f8 r = x - whole * 0.693359375f - whole * -2.1219444e-4f;
  f8 p = r * 1.98756915e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 0.16666665459f;
  p = p * r + 0.50000001201f;
  f8 fraction = p * r * r + r + 1.0f;
  u8 bits;
  memcpy(&bits, &shifted, sizeof bits);
  bits = (bits + 127u) << 23;
  f8 power;
  memcpy(&power, &bits, sizeof power);
  return fraction * power;
}

static double FUNCTION(exponential_sum)(const float *scores, size_t count, float maximum) {
  size_t whole = count / 8 * 8, start = 0;
  double total = 0;
  while (start < whole) {
    // Few enough additions per lane in single precision for their rounding not to matter.
    size_t end = whole - start < 256 ? whole : start + 256;
    f8 lanes = 0;
    for (size_t i = start; i < end; i += 8) {
      f8 v;
      memcpy(&v, scores + i, sizeof v);
      lanes += unfused_exp(v - maximum);
    }
    for (int lane = 0; lane < 8; lane++) total += (double)lanes[lane];
    start = end;
  }
  if (whole < count) {
    f8 rest = 0;
    for (size_t i = whole; i < count; i++) rest[i - whole] = scores[i] - maximum;
    rest = unfused_exp(rest);
    for (size_t i = 0; i < count - whole; i++) total += (double)rest[i];
  }
  return total;
}

static size_t FUNCTION(first_above)(const float *scores, size_t start, size_t count, float bound) {
  size_t i = start;
  for (; i + 16 <= count; i += 16) {
    i16 above = load(scores + i) > bound;
    if (__builtin_reduce_or(above)) break;
  }
  while (i < count && !(scores[i] > bound)) i++;
  return i;
}
