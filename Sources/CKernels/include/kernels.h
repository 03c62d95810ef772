// The vector kernels behind NativeBackend, and all but the products behind OpenBLASBackend. Plain twins: ReferenceBackend.swift (and
// PlainKernels in the tests).
//
// The same source is compiled for several kinds of processor ("clones"). Every function is a pure function of its arguments with a
// fixed order of operations, in which each fused multiply-add is written out and nothing comes from libm: all clones with fused
// multiply-add give the same bits. Only the baseline clone of x86-64, which has none, differs, but for the optimizer.
//
// Letters: R rows, H hidden, n keys, W width of a tile of the vocabulary. Matrices are row-major; `stride` counts floats between
// rows.
#pragma once
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

// Dropout decisions are recomputed, never stored: element e of a row is dropped when a 16-bit number made of (row key, e) is
// below `threshold`; what is kept is multiplied by `scale` = 65536 / (65536 - threshold). threshold 0: nothing is dropped, and
// `row_keys` may be null.
typedef struct {
  const uint64_t *_Nullable row_keys;  // (R)
  uint32_t threshold;
  float scale;
} kernel_dropout;

typedef struct {
  float *values;
  size_t rows, columns, stride;
} kernel_matrix;

// Columns of a panel of exponentials.
enum { KERNEL_PANEL_COLUMNS = 48 };

typedef enum { KERNEL_GELU = 0, KERNEL_RELU = 1, KERNEL_TANH = 2, KERNEL_LINEAR = 3 } kernel_activation;

// Of rows of logits.
typedef struct {
  float *maximum;  // (R), the largest
  float *sum;      // (R), of exp(logit - maximum)
} kernel_softmax_sums;

// What tiles of the vocabulary have come to so far, for each row. A maximum of -inf: none has been added.
typedef struct {
  kernel_softmax_sums sums;
  float *_Nullable row_gradients;  // (R, H), of exp(logit - maximum) times the table's rows; null where they are not wanted
} kernel_online_softmax;

typedef struct {
  float learning_rate, beta1, beta2;
  // 1 - beta1 and 1 - beta2 as they are meant, 0.1 and 0.001: 1.0f - 0.999f is another number.
  float gradient_weight1, gradient_weight2;
  float epsilon, weight_decay;
  // Applied to each gradient first: 1 / masked items of the batch, times the clip scale.
  float gradient_scale;
} kernel_adam;

typedef struct {
  uint64_t before, after;
} kernel_bit_sums;

// A row of scores in numbers.
typedef struct {
  size_t greater, equal;  // scores above and like the one that they are compared with
  float maximum;          // of no meaning where not all are finite
  int is_finite;
} kernel_score_summary;

// One clone: all kernels, compiled for one kind of processor.
typedef struct {
  const char *name;  // such as "x86-64-v3"
  int has_fma;       // whether it gives the bits that all others with fused multiply-add give

  // Products ------------------------------------------------------------------------------------------------------------------

  // Floats of scratch that `product` needs, whatever the sizes.
  size_t product_scratch;

  // c = bias + scale * op(a) op(b), or c += the product (then without bias); op transposes where asked. The bias (a number per
  // column) may be null.
  void (*product)(
      kernel_matrix a, int transposes_a, kernel_matrix b, int transposes_b, kernel_matrix c, const float *_Nullable bias,
      float scale, int accumulates, float *scratch);

  // Elementwise -----------------------------------------------------------------------------------------------------------------

  // values (rows, columns with stride) += bias (columns).
  void (*add_bias)(float *values, const float *bias, size_t rows, size_t columns, size_t stride);
  // sums (columns) += the sum of the rows of values.
  void (*add_column_sums)(const float *values, float *sums, size_t rows, size_t columns, size_t stride);
  // sums (columns) += the sum of the rows of values, each times its weight.
  void (*add_weighted_column_sums)(
      const float *values, const float *weights, float *sums, size_t rows, size_t columns, size_t stride);
  // target (rows, columns) = values (rows, columns) * factors (rows).
  void (*multiply_rows)(const float *values, const float *factors, float *target, size_t rows, size_t columns);
  // target[i] += source[i].
  void (*add)(float *target, const float *source, size_t count);
  // sums (R, H) = words[tokens] + type (H) + positions (R, H), of one instance.
  void (*sum_embeddings)(
      const int32_t *tokens, const float *words, const float *type, const float *positions, float *sums, size_t rows,
      size_t columns);
  // Mirror image: words[tokens] += sums, positions += sums, row by row.
  void (*add_embedding_gradients)(
      const int32_t *tokens, const float *sums, float *words, float *positions, size_t rows, size_t columns);

  // Normalization -----------------------------------------------------------------------------------------------------------

  // y = LayerNorm(x) * weight + bias, with x = dropout(input + input_bias) + residual, rows of `columns`. `normalized` receives
  // (x - mean) / deviation, `inverse_deviation` 1 / deviation, both for the backward pass. input_bias and residual may be null.
  // output_dropout is applied to y (the embeddings' dropout), input_dropout before the residual.
  void (*residual_norm)(
      const float *input, const float *_Nullable input_bias, const float *_Nullable residual, const float *weight,
      const float *bias, float epsilon, kernel_dropout input_dropout, kernel_dropout output_dropout, float *output,
      float *normalized, float *inverse_deviation, size_t rows, size_t columns);

  // Mirror image: from the gradient of y to those of the residual (overwrites) and of the input (overwrites; may be null),
  // adding to those of weight, bias and input_bias (which may be null). residual_gradient may be output_gradient.
  void (*residual_norm_backward)(
      const float *output_gradient, const float *normalized, const float *inverse_deviation, const float *weight,
      kernel_dropout input_dropout, kernel_dropout output_dropout, float *residual_gradient, float *_Nullable input_gradient,
      float *weight_gradient, float *bias_gradient, float *_Nullable input_bias_gradient, size_t rows, size_t columns);

  // Activations ---------------------------------------------------------------------------------------------------------------

  // values = activation(values + bias) in place; `derivative` receives the activation's derivative there; it may be null.
  void (*bias_activation)(
      float *values, const float *bias, kernel_activation activation, float *_Nullable derivative, size_t rows, size_t columns);
  // gradient *= derivative in place; bias_gradient += the sum of the rows.
  void (*activation_backward)(float *gradient, const float *derivative, float *bias_gradient, size_t rows, size_t columns);

  // Attention -----------------------------------------------------------------------------------------------------------------

  // Softmax over each row of scores (rows, n), in place, with dropout. `stride` is a multiple of 16, at least n; what stands
  // behind n is scratch. Afterwards |scores| is the probability and a minus sign marks a dropped one; `dropped` receives the
  // probabilities after dropout, scaled.
  void (*softmax)(float *scores, float *dropped, size_t rows, size_t n, size_t stride, kernel_dropout dropout);

  // From signed probabilities (rows, n) and the gradient of the dropped ones to the gradient of the scores, in place of the
  // latter; `dropped` receives the dropped probabilities again, for the gradient of the values.
  void (*softmax_backward)(
      const float *signed_probabilities, float *gradient, float *dropped, size_t rows, size_t n, size_t stride,
      float dropout_scale);

  // Floats of scratch that the two functions below need for n keys of `size` numbers.
  size_t (*attention_scratch)(size_t keys, size_t size);

  // One head: context (r, d) = dropout(softmax(scale * query (r, d) key (n, d)^T)) value (n, d). `probabilities` (r, n), whose
  // stride is a multiple of 16, receives the signed probabilities as `softmax` gives them.
  void (*attention)(
      kernel_matrix query, kernel_matrix key, kernel_matrix value, kernel_matrix probabilities, kernel_matrix context,
      float scale, kernel_dropout dropout, float *scratch);

  // Mirror image: from the context's gradient (r, d) to those of query (r, d), key and value (n, d).
  void (*attention_backward)(
      kernel_matrix context_gradient, kernel_matrix query, kernel_matrix key, kernel_matrix value,
      kernel_matrix signed_probabilities, kernel_matrix query_gradient, kernel_matrix key_gradient, kernel_matrix value_gradient,
      float scale, float dropout_scale, float *scratch);

  // Loss over the vocabulary --------------------------------------------------------------------------------------------------

  // Logits (R, W), plus bias (may be null), become exp(logit - maximum), under the maximum of these and of what `sums` begins with, and
  // `sums` receives those of both. `stride` is a multiple of 16, at least W; what stands behind W, up to a whole vector, becomes 0.
  void (*tile_exponentials)(
      float *logits, const float *_Nullable bias, size_t rows, size_t width, size_t stride, kernel_softmax_sums sums);

  // factors (R) = exp(tile_maximum - row_maximum) / row_sum.
  void (*softmax_factors)(const float *tile_maximum, const float *row_maximum, const float *row_sum, float *factors, size_t rows);

  // Floats of scratch that `vocabulary_tile` needs for a tile (W, H) of the table.
  size_t (*vocabulary_tile_scratch)(size_t width, size_t size);

  // Logits, exponentials and their product with one tile of the table (W, H), a few rows at a time: exponentials (R, W) =
  // exp(rows (R, H) table^T + bias - maximum), under the tile's own maximum, which `sums` receives with their sums; they stand in panels of
  // KERNEL_PANEL_COLUMNS columns, each (R, that), the last one filled up. label_logits (R) receives the logits of those rows whose label
  // lies in the tile, which begins at `first_label`. `products` (R, H), if not null, = exponentials table. With `total` all is added to
  // that as `add_tile` does, and `products` is scratch for the rows that are in work.
  // With `streams`, the exponentials, which must begin at a multiple of 64 bytes, are written past the caches.
  void (*vocabulary_tile)(
      kernel_matrix rows, kernel_matrix table, const float *bias, const int32_t *labels, size_t first_label, float *exponentials,
      int streams, kernel_softmax_sums sums, float *label_logits, float *_Nullable products,
      const kernel_online_softmax *_Nullable total, float *scratch);

  // Adds a tile to what the tiles before it have come to, everything under the larger of both maxima: total = total *
  // exp(total's maximum - larger) + tile * exp(tile's maximum - larger). `products` (R, H): null where row gradients are not wanted.
  void (*add_tile)(
      kernel_softmax_sums sums, const float *_Nullable products, size_t rows, size_t size, kernel_online_softmax total);

  // table_gradient (W, H) = or += exponentials^T (factors rows (R, H)), bias_gradient (W) = or += exponentials^T factors (R); the
  // exponentials stand in panels. Needs the scratch of `product`.
  void (*vocabulary_tile_backward)(
      const float *exponentials, const float *factors, kernel_matrix rows, kernel_matrix table_gradient, float *bias_gradient,
      int adds, float *scratch);

  // The label's share of the gradients: row_gradients (R, H) -= words[labels], word_gradients[labels] -= rows,
  // bias_gradient[labels] -= 1, row by row.
  void (*subtract_labels)(
      const int32_t *labels, kernel_matrix rows, const float *words, float *row_gradients, float *word_gradients,
      float *bias_gradient);

  // Optimizer: the same bits from all clones, the baseline too. ---------------------------------------------------------------

  // m = b1 m + w1 g; v = b2 v + w2 g g; p -= learning_rate * (m / (sqrt(v) + epsilon) + weight_decay p). Returns the bit sums of
  // p, m and v as they were found and as they are left.
  kernel_bit_sums (*adam_update)(
      kernel_adam settings, float *parameters, const float *gradients, float *first_moment, float *second_moment, size_t count);

  // Updates without a gradient, one after the other at these rates (steps), which stand in for the one in the settings; a first moment
  // of at most `spent` then becomes 0. Bit sums as above.
  kernel_bit_sums (*adam_idle)(
      kernel_adam settings, const float *rates, size_t steps, float spent, float *parameters, float *first_moment,
      float *second_moment, size_t count);

  // The bit sum of p, m and v: integer sums of the bit patterns of every sixteenth element, each times a constant of its own. Any
  // change of a single number changes it.
  uint64_t (*bit_sum)(const float *parameters, const float *first_moment, const float *second_moment, size_t count);

  // The sum of squares, in double.
  double (*sum_of_squares)(const float *values, size_t count);

  // Ranking: the same bits from all clones, the baseline too. -----------------------------------------------------------------

  kernel_score_summary (*score_summary)(const float *scores, size_t count, float compared);
  // The sum of exp(score - maximum), no score being above the maximum; sums of 32 numbers in single precision, of these in double.
  double (*exponential_sum)(const float *scores, size_t count, float maximum);
  // The first index from `start` on whose score is above the bound; `count` where there is none.
  size_t (*first_above)(const float *scores, size_t start, size_t count, float bound);
} kernel_set;

// The fastest clone that this processor can run.
const kernel_set *kernel_set_best(void);

// All clones that this processor can run, the fastest first: for tests, which hold them to each other. Null behind the last one.
const kernel_set *_Nullable kernel_set_at(size_t index);

// FLOP / s of independent fused multiply-adds in registers, one core, which is as fast as products can get; 0 without them.
// `seconds` is how long it runs.
double kernel_fma_rate(double seconds);

#pragma clang assume_nonnull end
