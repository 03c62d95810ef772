// All kernels for the processor that the including file has named:
//   CLONE, CLONE_NAME            the clone's name as part of an identifier and as text
//   CLONE_HAS_FMA                whether it has fused multiply-add
//   CLONE_TILE_ROWS, _PANELS     the size of a product's tile: rows, and vectors of 16 columns
#define JOINED(name, clone) name##_##clone
#define JOINED_EXPANDED(name, clone) JOINED(name, clone)
#define FUNCTION(name) JOINED_EXPANDED(name, CLONE)

#include "kernels.h"
// clang-format off: in the order of what they need.
#include "vector.h"
#include "elementwise.h"
#include "normalization.h"
#include "activation.h"
#include "product.h"
#include "attention.h"
#include "head.h"
#include "optimizer.h"
#include "ranking.h"
// clang-format on

const kernel_set FUNCTION(kernel_set) = {
    .name = CLONE_NAME,
    .has_fma = CLONE_HAS_FMA,
    .product_scratch = PRODUCT_SCRATCH,
    .product = FUNCTION(product),
    .add_bias = FUNCTION(add_bias),
    .add_column_sums = FUNCTION(add_column_sums),
    .add_weighted_column_sums = FUNCTION(add_weighted_column_sums),
    .multiply_rows = FUNCTION(multiply_rows),
    .add = FUNCTION(add),
    .sum_embeddings = FUNCTION(sum_embeddings),
    .add_embedding_gradients = FUNCTION(add_embedding_gradients),
    .residual_norm = FUNCTION(residual_norm),
    .residual_norm_backward = FUNCTION(residual_norm_backward),
    .bias_activation = FUNCTION(bias_activation),
    .activation_backward = FUNCTION(activation_backward),
    .softmax = FUNCTION(softmax),
    .softmax_backward = FUNCTION(softmax_backward),
    .attention_scratch = FUNCTION(attention_scratch),
    .attention = FUNCTION(attention),
    .attention_backward = FUNCTION(attention_backward),
    .tile_exponentials = FUNCTION(tile_exponentials),
    .softmax_factors = FUNCTION(softmax_factors),
    .vocabulary_tile_scratch = FUNCTION(vocabulary_tile_scratch),
    .vocabulary_tile = FUNCTION(vocabulary_tile),
    .add_tile = FUNCTION(add_tile),
    .vocabulary_tile_backward = FUNCTION(vocabulary_tile_backward),
    .subtract_labels = FUNCTION(subtract_labels),
    .adam_update = FUNCTION(adam_update),
    .adam_idle = FUNCTION(adam_idle),
    .bit_sum = FUNCTION(bit_sum),
    .sum_of_squares = FUNCTION(sum_of_squares),
    .score_summary = FUNCTION(score_summary),
    .exponential_sum = FUNCTION(exponential_sum),
    .first_above = FUNCTION(first_above),
};
