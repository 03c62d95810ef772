// Runs every kernel of every clone that this processor can run, on odd shapes, and prints a hash of the bits of all results, a line
// per clone with fused multiply-add: aarch64-kernels.sh compares those of x86-64 and of 64-bit ARM.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"

static uint64_t state, hash;

static float number(void) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (float)((int32_t)(state >> 40) - (1 << 23)) / (float)(1 << 23);
}

static float *numbers(size_t count) {
  float *values = aligned_alloc(64, (count * 4 + 127) / 64 * 64);
  for (size_t i = 0; i < count; i++) values[i] = number();
  return values;
}

// Not numbers(): clones want different amounts of it, and would then see other numbers.
static float *scratch_of(size_t count) { return aligned_alloc(64, (count * 4 + 127) / 64 * 64); }

static void add(const void *bytes, size_t count) {
  for (size_t i = 0; i < count; i++) hash = (hash ^ ((const unsigned char *)bytes)[i]) * 1099511628211u;
}

static void products(const kernel_set *kernels) {
  float *scratch = scratch_of(kernels->product_scratch);
  for (int form = 0; form < 8; form++) {
    int ta = form & 1, tb = form >> 1 & 1, accumulates = form >> 2;
    for (int shape = 0; shape < 4; shape++) {
      size_t m = (size_t[]){1, 13, 101, 59}[shape], n = (size_t[]){1, 50, 33, 290}[shape], k = (size_t[]){3, 37, 530, 257}[shape];
      float *a = numbers(m * k), *b = numbers(n * k), *c = numbers(m * n), *bias = numbers(n);
      kernels->product(
          (kernel_matrix){a, ta ? k : m, ta ? m : k, ta ? m : k}, ta, (kernel_matrix){b, tb ? n : k, tb ? k : n, tb ? k : n}, tb,
          (kernel_matrix){c, m, n, n}, accumulates ? 0 : bias, 0.7f, accumulates, scratch);
      add(c, m * n * 4);
    }
  }
}

static void rows(const kernel_set *kernels) {
  for (size_t columns = 1; columns < 80; columns += 13) {
    size_t rows = 7, count = rows * columns;
    uint64_t keys[7];
    for (int i = 0; i < 7; i++) keys[i] = number() > 0 ? state : ~state;
    kernel_dropout dropout = {keys, 20000, 65536.0f / 45536.0f}, none = {0, 0, 1};
    float *in = numbers(count), *bias = numbers(columns), *residual = numbers(count), *weight = numbers(columns);
    float *y = numbers(count), *norm = numbers(count), *inverse = numbers(rows), *dy = numbers(count);
    float *dres = numbers(count), *din = numbers(count), *dw = numbers(columns), *db = numbers(columns), *dib = numbers(columns);
    kernels->residual_norm(in, bias, residual, weight, bias, 1e-12f, dropout, none, y, norm, inverse, rows, columns);
    kernels->residual_norm_backward(dy, norm, inverse, weight, dropout, none, dres, din, dw, db, dib, rows, columns);
    float *all[] = {y, norm, dres, din};
    for (int i = 0; i < 4; i++) add(all[i], count * 4);
    add(dw, columns * 4), add(db, columns * 4), add(dib, columns * 4), add(inverse, rows * 4);
    for (int activation = KERNEL_GELU; activation <= KERNEL_LINEAR; activation++) {
      float *values = numbers(count), *slope = numbers(count);
      for (size_t i = 0; i < count; i++) values[i] *= 6;
      kernels->bias_activation(values, bias, (kernel_activation)activation, slope, rows, columns);
      kernels->activation_backward(values, slope, db, rows, columns);
      add(values, count * 4), add(slope, count * 4), add(db, columns * 4);
    }
    kernels->add_column_sums(in, dw, rows, columns, columns);
    kernels->add_weighted_column_sums(in, inverse, dw, rows, columns, columns);
    kernels->multiply_rows(in, inverse, y, rows, columns);
    kernels->add_bias(y, bias, rows, columns, columns);
    kernels->add(y, in, count);
    double squares = kernels->sum_of_squares(y, count);
    add(dw, columns * 4), add(y, count * 4), add(&squares, 8);
    for (size_t i = 0; i < count; i++) norm[i] = norm[i] * norm[i];
    kernel_bit_sums sums = kernels->adam_update(
        (kernel_adam){1e-3f, 0.9f, 0.999f, 0.1f, 0.001f, 1e-6f, 0.01f, 0.37f}, in, dy, residual, norm, count);
    add(&sums, sizeof sums);
    float rates[300];
    for (int i = 0; i < 300; i++) rates[i] = 1e-3f - 2e-6f * i;
    sums = kernels->adam_idle(
        (kernel_adam){0, 0.9f, 0.999f, 0.1f, 0.001f, 1e-6f, 0.01f, 1}, rates, 300, 1e-12f, in, residual, norm, count);
    add(&sums, sizeof sums);
    add(in, count * 4), add(residual, count * 4), add(norm, count * 4);
  }
}

static void attention(const kernel_set *kernels) {
  for (size_t n = 1; n < 140; n += 23) {
    size_t d = n % 2 ? 32 : 7, stride = (n + 15) / 16 * 16;
    uint64_t *keys = malloc(n * sizeof *keys);
    for (size_t i = 0; i < n; i++) keys[i] = number() > 0 ? state : ~state;
    kernel_dropout dropout = {keys, 13107, 65536.0f / 52429.0f};
    kernel_matrix m[8];
    for (int i = 0; i < 8; i++) m[i] = (kernel_matrix){numbers(n * d), n, d, d};
    kernel_matrix p = {numbers(n * stride), n, n, stride};
    float *scratch = scratch_of(kernels->attention_scratch(n, d));
    kernels->attention(m[0], m[1], m[2], p, m[3], 0.3f, dropout, scratch);
    kernels->attention_backward(m[4], m[0], m[1], m[2], p, m[5], m[6], m[7], 0.3f, dropout.scale, scratch);
    for (size_t i = 0; i < n; i++) add(p.values + i * stride, n * 4);
    for (int i = 3; i < 8; i++) add(m[i].values, n * d * 4);
  }
}

static void loss(const kernel_set *kernels) {
  for (size_t rows = 1; rows < 300; rows += 130) {
    size_t width = 330 + rows, size = 21, panels = (width + 47) / 48 * 48;
    kernel_matrix t = {numbers(rows * size), rows, size, size}, table = {numbers(width * size), width, size, size};
    kernel_matrix dtable = {numbers(width * size), width, size, size};
    float *maximum = numbers(rows), *sum = numbers(rows), *tile_maximum = numbers(rows), *tile_sum = numbers(rows);
    float *bias = numbers(width), *dbias = numbers(width), *exponentials = numbers(rows * panels), *factors = numbers(rows);
    float *logits = numbers(rows), *dt = numbers(rows * size), *products = numbers(rows * size);
    float *scratch = scratch_of(kernels->vocabulary_tile_scratch(width, size));
    float *product_scratch = scratch_of(kernels->product_scratch);
    int32_t *labels = malloc(rows * sizeof *labels);
    for (size_t i = 0; i < rows; i++) { maximum[i] = -__builtin_inff(), sum[i] = 0, labels[i] = (int32_t)(100 + i * 7 % width); }
    kernel_softmax_sums tile = {tile_maximum, tile_sum};
    kernel_online_softmax total = {{maximum, sum}, dt};
    // A tile that is added at once, and one that is added later.
    kernels->vocabulary_tile(t, table, bias, labels, 100, exponentials, 0, tile, logits, products, &total, scratch);
    kernels->vocabulary_tile(t, dtable, bias, labels, 100, exponentials, 1, tile, logits, products, 0, scratch);
    kernels->add_tile(tile, products, rows, size, total);
    kernels->softmax_factors(tile_maximum, maximum, sum, factors, rows);
    kernels->vocabulary_tile_backward(exponentials, factors, t, dtable, dbias, 1, product_scratch);
    add(sum, rows * 4), add(maximum, rows * 4), add(factors, rows * 4), add(dt, rows * size * 4);
    add(dtable.values, width * size * 4), add(dbias, width * 4), add(logits, rows * 4);
  }
}

int main(void) {
  for (size_t index = 0; kernel_set_at(index); index++) {
    const kernel_set *kernels = kernel_set_at(index);
    if (!kernels->has_fma) continue;
    state = 1, hash = 14695981039346656037u;
    products(kernels), rows(kernels), attention(kernels), loss(kernels);
    printf("%016llx  %s\n", (unsigned long long)hash, kernels->name);
  }
  return 0;
}
