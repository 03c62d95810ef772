// The loss over the vocabulary, a tile of it at a time: exponentials under the tile's own maximum, so that tiles do not wait for each
// other, and kept for the table's gradient. What tiles come to is added in the vocabulary's order: an online softmax over tiles.
#pragma once
#include "product.h"

// Columns of a panel of exponentials: whole vectors, and whole tiles of every size in use.
enum { PANEL = KERNEL_PANEL_COLUMNS };

INLINE size_t padded_to_panel(size_t count) { return (count + PANEL - 1) / PANEL * PANEL; }

INLINE kernel_softmax_sums sums_from(kernel_softmax_sums sums, size_t row) {
  return (kernel_softmax_sums){sums.maximum + row, sums.sum + row};
}

// Rows of logits become exp(logit - maximum), under the larger of the maximum in `sums` and their own; what stands behind `width`, up to
// `padded`, becomes 0. With `panels`, each panel's first number for the first row, the exponentials go there as well.
// Three sweeps over rows that are independent of each other; at most SOFTMAX_ROWS.
INLINE void exponential_rows(
    float *z, size_t stride, size_t rows, size_t width, size_t padded, kernel_softmax_sums state, float *panels,
    size_t panel_size, const int streams) {
  float tops[SOFTMAX_ROWS] = {0}, totals[SOFTMAX_ROWS] = {0};
  for (size_t row = 0; row < rows; row++) {
    float *logits = z + row * stride;
    for (size_t i = width; i < padded; i++) logits[i] = -__builtin_inff();
    f16 highest = load(logits);
    for (size_t i = 16; i < padded; i += 16) highest = maximum(load(logits + i), highest);
    float old = state.maximum[row], top = max_lanes(highest);
    tops[row] = top > old ? top : old;
  }
  for (size_t row = 0; row < rows; row++) {
    float *logits = z + row * stride, *panel = panels + row * PANEL;
    f16 sums = 0;
    if (panels) {
      for (size_t i = 0; i < padded; i += PANEL, panel += panel_size)
        for (int j = 0; j < PANEL; j += 16) {
          f16 e = exp16(load(logits + i + j) - tops[row]);
          store(logits + i + j, e);
          if (streams) stream(panel + j, e);
          else store(panel + j, e);
          sums += e;
        }
    } else {
      for (size_t i = 0; i < padded; i += 16) {
        f16 e = exp16(load(logits + i) - tops[row]);
        store(logits + i, e);
        sums += e;
      }
    }
    totals[row] = sum_lanes(sums);
  }
  f16 top = load(tops), before = exp16(load_up_to(state.maximum, rows) - top);
  store_up_to(state.sum, fma16(load_up_to(state.sum, rows), before, load(totals)), rows);
  store_up_to(state.maximum, top, rows);
}

static void FUNCTION(tile_exponentials)(
    float *logits, const float *bias, size_t rows, size_t width, size_t stride, kernel_softmax_sums sums) {
  for (size_t row = 0; row < rows; row++) {
    float *z = logits + row * stride;
    if (bias)
      for (size_t i = 0; i < width; i += 16)
        store_up_to(z + i, load_up_to(z + i, width - i) + load_up_to(bias + i, width - i), width - i);
  }
  for (size_t row = 0; row < rows; row += SOFTMAX_ROWS)
    exponential_rows(
        logits + row * stride, stride, at_most(rows - row, SOFTMAX_ROWS), width, (width + 15) / 16 * 16, sums_from(sums, row), 0,
        0, 0);
}

static void FUNCTION(softmax_factors)(
    const float *tile_maximum, const float *row_maximum, const float *row_sum, float *factors, size_t rows) {
  for (size_t row = 0; row < rows; row += 16) {
    size_t count = rows - row;
    f16 e = exp16(load_up_to(tile_maximum + row, count) - load_up_to(row_maximum + row, count));
    store_up_to(factors + row, e / load_up_to(row_sum + row, count), count);
  }
}

// Floats for a tile of the table, packed both ways, and for a few rows of exponentials.
static size_t FUNCTION(vocabulary_tile_scratch)(size_t width, size_t size) {
  size_t padded = padded_to_panel(width);
  return padded * (size + (size + 15) / 16 * 16 + ROWS);
}

// c (rows, columns) = bias + A B for a tile's rows. Each panel of B is read once, so nothing is gained by blocks of the inner index.
INLINE void strip_product(left_operand a, right_operand b, size_t inner, result c, size_t columns, size_t rows) {
  for (size_t j = 0; j < columns; j += COLUMNS) {
    result part = c;
    part.values += j;
    if (part.bias) part.bias += j;
    any_tile(a, from_column(b, j), inner, part, columns - j, rows);
  }
}

// Logits (count, width) of a strip's rows, which begin at row i, and those of the labels that are in the tile.
INLINE void strip_logits(
    kernel_matrix rows, size_t i, size_t count, right_operand columns, const float *bias, const int32_t *labels,
    size_t first_label, size_t width, float *z, size_t padded, float *label_logits) {
  strip_product(
      (left_operand){rows.values + i * rows.stride, rows.stride, 1}, columns, rows.columns, (result){z, padded, 1, 0, bias},
      width, count);
  for (size_t row = 0; row < count; row++) {
    size_t label = (size_t)labels[i + row] - first_label;
    if (label < width) label_logits[i + row] = z[row * padded + label];
  }
}

// Adds a tile's rows, at most SOFTMAX_ROWS, to what the tiles before it have come to.
INLINE void add_rows_of_tile(
    kernel_softmax_sums sums, const float *products, size_t rows, size_t size, kernel_softmax_sums total, float *gradients) {
  f16 old = load_up_to(total.maximum, rows), own = load_up_to(sums.maximum, rows), top = maximum(own, old);
  // 0 where there is nothing so far.
  f16 before = exp16(old - top), now = exp16(own - top);
  store_up_to(total.sum, fma16(load_up_to(sums.sum, rows), now, load_up_to(total.sum, rows) * before), rows);
  store_up_to(total.maximum, top, rows);
  if (!gradients) return;
  for (size_t row = 0; row < rows; row++, products += size, gradients += size) {
    f16 factor_before = before[row], factor_now = now[row];
    for (size_t i = 0; i < size; i += 16) {
      size_t count = size - i;
      f16 p = load_up_to(products + i, count);
      // Memory that nothing has been written to yet may hold anything.
      if (before[row] != 0.0f) p = fma16(p, factor_now, load_up_to(gradients + i, count) * factor_before);
      store_up_to(gradients + i, p, count);
    }
  }
}

static void FUNCTION(add_tile)(
    kernel_softmax_sums sums, const float *products, size_t rows, size_t size, kernel_online_softmax total) {
  for (size_t i = 0; i < rows; i += SOFTMAX_ROWS) {
    size_t place = total.row_gradients ? i * size : 0;
    add_rows_of_tile(
        sums_from(sums, i), products + place, at_most(rows - i, SOFTMAX_ROWS), size, sums_from(total.sums, i),
        total.row_gradients + place);
  }
}

static void FUNCTION(vocabulary_tile)(
    kernel_matrix rows, kernel_matrix table, const float *bias, const int32_t *labels, size_t first_label, float *exponentials,
    int streams, kernel_softmax_sums sums, float *label_logits, float *products, const kernel_online_softmax *total,
    float *scratch) {
  size_t width = table.rows, size = table.columns, padded = padded_to_panel(width);
  float *columns = scratch, *words = columns + padded * size, *z = words + padded * ((size + 15) / 16 * 16);
  right_operand by_column = right(table, 1, 0, size, 0, width, columns), by_word = {0};
  if (products) by_word = right(table, 0, 0, width, 0, size, words);
  for (size_t i = 0; i < rows.rows; i += ROWS) {
    size_t count = at_most(rows.rows - i, ROWS);
    strip_logits(rows, i, count, by_column, bias, labels, first_label, width, z, padded, label_logits);
    kernel_softmax_sums own = sums_from(sums, i);
    for (size_t row = 0; row < count; row++) own.maximum[row] = -__builtin_inff(), own.sum[row] = 0;
    float *panels = exponentials + i * PANEL;
    if (streams) exponential_rows(z, padded, count, width, padded, own, panels, rows.rows * PANEL, 1);
    else exponential_rows(z, padded, count, width, padded, own, panels, rows.rows * PANEL, 0);
    float *p = products && !total ? products + i * size : products;
    float *g = total && total->row_gradients ? total->row_gradients + i * size : 0;
    if (p) strip_product((left_operand){z, padded, 1}, by_word, width, (result){p, size, 1, 0, 0}, size, count);
    if (total) add_rows_of_tile(own, p, count, size, sums_from(total->sums, i), g);
  }
}

static void FUNCTION(vocabulary_tile_backward)(
    const float *exponentials, const float *factors, kernel_matrix rows, kernel_matrix table_gradient, float *bias_gradient,
    int adds, float *scratch) {
  size_t width = table_gradient.rows, size = table_gradient.columns;
  size_t widest = PACKED_FLOATS / INNER / COLUMNS * COLUMNS;
  if (!adds) memset(bias_gradient, 0, width * sizeof *bias_gradient);
  for (size_t first = 0; first < rows.rows; first += INNER) {
    size_t inner = at_most(rows.rows - first, INNER);
    for (size_t j = 0; j < size; j += widest) {
      size_t columns = at_most(size - j, widest);
      for (size_t i = 0; i < columns; i += 16)
        for (size_t k = 0; k < inner; k++) {
          f16 v = load_up_to(rows.values + (first + k) * rows.stride + j + i, columns - i);
          store(scratch + i * inner + k * 16, v * factors[first + k]);
        }
      for (size_t vocabulary = 0; vocabulary < width; vocabulary += PANEL) {
        const float *panel = exponentials + vocabulary * rows.rows + first * PANEL;
        size_t count = at_most(width - vocabulary, PANEL);
        if (j == 0) add_rows(panel, factors + first, bias_gradient + vocabulary, inner, count, PANEL, 1);
        // While this panel is multiplied, the next one is on its way, a part of it per tile.
        const float *next = exponentials + (vocabulary + PANEL) * rows.rows + first * PANEL;
        size_t part = vocabulary + PANEL < width ? inner * PANEL / (columns / COLUMNS + 1) / (PANEL / ROWS) + 16 : 0;
        for (size_t column = 0; column < columns; column += COLUMNS)
          for (size_t i = 0; i < count; i += ROWS, next += part) {
            prefetch(next, part);
            any_tile(
                (left_operand){panel + i, 1, PANEL}, packed_panels(scratch + column * inner, inner), inner,
                (result){
                    table_gradient.values + (vocabulary + i) * table_gradient.stride + j + column, table_gradient.stride, 1,
                    adds || first > 0, 0},
                columns - column, count - i);
          }
      }
    }
  }
}

static void FUNCTION(subtract_labels)(
    const int32_t *labels, kernel_matrix rows, const float *words, float *row_gradients, float *word_gradients,
    float *bias_gradient) {
  size_t size = rows.columns;
  for (size_t row = 0; row < rows.rows; row++) {
    size_t label = (size_t)labels[row];
    const float *word = words + label * size, *t = rows.values + row * rows.stride;
    float *dt = row_gradients + row * size, *dword = word_gradients + label * size;
    bias_gradient[label] -= 1;
    for (size_t i = 0; i < size; i += 16) {
      size_t count = size - i;
      store_up_to(dt + i, load_up_to(dt + i, count) - load_up_to(word + i, count), count);
      store_up_to(dword + i, load_up_to(dword + i, count) - load_up_to(t + i, count), count);
    }
  }
}
