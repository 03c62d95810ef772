// The vector kernels behind OpenBLASBackend. Plain twins: ReferenceBackend.swift (and PlainKernels in the tests).
//
// Letters: R rows, H hidden, n keys. Matrices are row-major; `stride` counts floats between rows. Every function is a pure
// function of its arguments with a fixed order of additions, whatever the CPU; only fused multiply-adds differ between clones,
// and not even those in optimizer.c.
#pragma once
#include <stddef.h>
#include <stdint.h>

// Dropout decisions are recomputed, never stored: element e of a row is dropped when a 16-bit number made of (row key, e) is
// below `threshold`; what is kept is multiplied by `scale` = 65536 / (65536 - threshold). threshold 0: nothing is dropped, and
// `row_keys` may be null.
typedef struct {
  const uint64_t *_Nullable row_keys;  // (R)
  uint32_t threshold;
  float scale;
} kernel_dropout;

// Which clone of the kernels the CPU gets: "x86-64-v4", "x86-64-v3" or "baseline".
const char *_Nonnull kernel_clone(void);

// product.c ------------------------------------------------------------------------------------------------------------------

typedef struct {
  float *_Nonnull values;
  size_t rows, columns, stride;
} kernel_matrix;

// Floats of scratch that a product with `columns` columns needs.
size_t kernel_product_scratch(size_t rows, size_t columns);

// c = scale * op(a) op(b), or c += the same; op transposes where asked.
void kernel_product(
    kernel_matrix a, int transposes_a, kernel_matrix b, int transposes_b, kernel_matrix c, float scale, int accumulates,
    float *_Nonnull scratch);

// normalization.c ---------------------------------------------------------------------------------------------

// y = LayerNorm(x) * weight + bias, with x = dropout(input + input_bias) + residual, rows of `columns`. `normalized` receives
// (x - mean) / deviation, `inverse_deviation` 1 / deviation, both for the backward pass. input_bias and residual may be null.
// output_dropout is applied to y (the embeddings' dropout), input_dropout before the residual.
void kernel_residual_norm(
    const float *_Nonnull input, const float *_Nullable input_bias, const float *_Nullable residual,
    const float *_Nonnull weight, const float *_Nonnull bias, float epsilon, kernel_dropout input_dropout,
    kernel_dropout output_dropout, float *_Nonnull output, float *_Nonnull normalized,
    float *_Nonnull inverse_deviation, size_t rows, size_t columns);

// Mirror image: from the gradient of y to those of the residual (overwrites) and of the input (overwrites; may be null), adding
// to those of weight, bias and input_bias (which may be null). residual_gradient may be output_gradient.
void kernel_residual_norm_backward(
    const float *_Nonnull output_gradient, const float *_Nonnull normalized, const float *_Nonnull inverse_deviation,
    const float *_Nonnull weight, kernel_dropout input_dropout, kernel_dropout output_dropout,
    float *_Nonnull residual_gradient, float *_Nullable input_gradient, float *_Nonnull weight_gradient,
    float *_Nonnull bias_gradient, float *_Nullable input_bias_gradient, size_t rows, size_t columns);

// activation.c ---------------------------------------------------------------------------------------------------------------

typedef enum { KERNEL_GELU = 0, KERNEL_RELU = 1, KERNEL_TANH = 2, KERNEL_LINEAR = 3 } kernel_activation;

// values = activation(values + bias) in place; `derivative` receives the activation's derivative there; it may be null.
void kernel_bias_activation(
    float *_Nonnull values, const float *_Nonnull bias, kernel_activation activation, float *_Nullable derivative,
    size_t rows, size_t columns);

// gradient *= derivative in place; bias_gradient += the sum of the rows.
void kernel_activation_backward(
    float *_Nonnull gradient, const float *_Nonnull derivative, float *_Nonnull bias_gradient, size_t rows,
    size_t columns);

// attention.c ----------------------------------------------------------------------------------------------------------------

// Softmax over each row of scores (rows, n), in place, with dropout. `stride` is a multiple of 16, at least n; what stands
// behind n is scratch. Afterwards |scores| is the probability and a minus sign marks a dropped one; `dropped` receives the
// probabilities after dropout, scaled.
void kernel_softmax(
    float *_Nonnull scores, float *_Nonnull dropped, size_t rows, size_t n, size_t stride, kernel_dropout dropout);

// From signed probabilities (rows, n) and the gradient of the dropped ones to the gradient of the scores, in place of the
// latter; `dropped` receives the dropped probabilities again, for the gradient of the values.
void kernel_softmax_backward(
    const float *_Nonnull signed_probabilities, float *_Nonnull gradient, float *_Nonnull dropped, size_t rows, size_t n,
    size_t stride, float dropout_scale);

// Floats of scratch that the two functions below need for n keys of `size` numbers.
size_t kernel_attention_scratch(size_t keys, size_t size);

// One head: context (r, d) = dropout(softmax(scale * query (r, d) key (n, d)^T)) value (n, d). `probabilities` (r, n), whose stride is a
// multiple of 16, receives the signed probabilities as kernel_softmax gives them.
void kernel_attention(
    kernel_matrix query, kernel_matrix key, kernel_matrix value, kernel_matrix probabilities, kernel_matrix context,
    float scale, kernel_dropout dropout, float *_Nonnull scratch);

// From the context's gradient (r, d) to the query's (r, d), the scores' and the dropped probabilities (both (r, n) with the
// probabilities' stride), of which the keys' and values' gradients are products.
void kernel_attention_backward(
    kernel_matrix context_gradient, kernel_matrix key, kernel_matrix value, kernel_matrix signed_probabilities,
    kernel_matrix query_gradient, float *_Nonnull score_gradient, float *_Nonnull dropped, float scale,
    float dropout_scale, float *_Nonnull scratch);

// head.c ---------------------------------------------------------------------------------------------------------------------

// One vocabulary tile of the online softmax: logits (rows, width) += bias, then exp(logit - row_maximum) in place, where
// row_maximum and row_sum are carried from tile to tile; `tile_maximum` receives the maximum this tile was shifted by, `rescale`
// exp(old maximum - new maximum). `stride` is a multiple of 16, at least width; what stands behind width becomes 0.
void kernel_tile_exponentials(
    float *_Nonnull logits, const float *_Nonnull bias, size_t rows, size_t width, size_t stride,
    float *_Nonnull row_maximum, float *_Nonnull row_sum, float *_Nonnull tile_maximum, float *_Nonnull rescale);

// target (rows, columns) = values (rows, columns) * factors (rows).
void kernel_multiply_rows(
    const float *_Nonnull values, const float *_Nonnull factors, float *_Nonnull target, size_t rows, size_t columns);

// sums (columns) += the sum of the rows of values, each times its weight.
void kernel_add_weighted_column_sums(
    const float *_Nonnull values, const float *_Nonnull weights, float *_Nonnull sums, size_t rows, size_t columns,
    size_t stride);

// elementwise.c --------------------------------------------------------------------------------------------------------------

// values (rows, columns with stride) += bias (columns).
void kernel_add_bias(
    float *_Nonnull values, const float *_Nonnull bias, size_t rows, size_t columns, size_t stride);
// sums (columns) += the sum of the rows of values.
void kernel_add_column_sums(
    const float *_Nonnull values, float *_Nonnull sums, size_t rows, size_t columns, size_t stride);
// target[i] += source[i].
void kernel_add(float *_Nonnull target, const float *_Nonnull source, size_t count);

// optimizer.c: every rank computes these for itself, so all clones give the same bits. -------------------------------------------

typedef struct {
  float learning_rate, beta1, beta2, epsilon, weight_decay;
  // Applied to each gradient first: 1 / masked items of the batch, times the clip scale.
  float gradient_scale;
} kernel_adam;

// m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g g; p -= learning_rate * (m / (sqrt(v) + epsilon) + weight_decay p).
void kernel_adam_update(
    kernel_adam settings, float *_Nonnull parameters, const float *_Nonnull gradients, float *_Nonnull first_moment,
    float *_Nonnull second_moment, size_t count);

// The sum of squares, in double, in a fixed order.
double kernel_sum_of_squares(const float *_Nonnull values, size_t count);

// The clones for the oldest CPUs, whatever this one is: tests hold the others to their bits.
void kernel_adam_update_baseline(
    kernel_adam settings, float *_Nonnull parameters, const float *_Nonnull gradients, float *_Nonnull first_moment,
    float *_Nonnull second_moment, size_t count);
double kernel_sum_of_squares_baseline(const float *_Nonnull values, size_t count);
