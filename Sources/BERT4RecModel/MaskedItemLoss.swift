#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// The sum over masked items of the cross entropy over the whole vocabulary, with the tied projection:
///
///     logits = t Eᵀ + b,  loss = Σ (log Σ exp logits - logit of the label)
///     tGradient = (p - onehot) E,  E's gradient += (p - onehot)ᵀ t,  b's gradient += Σ rows (p - onehot)
///
/// Letters: M masked rows, V vocabulary, H hidden. The (M, V) logits never exist as a whole: rows are taken in chunks of
/// `rowChunk`, the vocabulary in tiles of `tileWidth`. A first sweep makes a tile's exponentials under a running maximum and,
/// while they are in the cache, their product with the table, which only lacks the final sums. A second sweep makes the table's
/// gradient; each row's final factor goes into t there, so the exponentials are read once and never written again.
package final class MaskedItemLoss {
  /// Both shape the order of additions, so they are part of `numericsVersion`.
  package static let rowChunk = 256
  package static let tileWidth = 512

  /// Floats between rows of a tile: one cache line more than its width, since a power of two would put all rows into few of the
  /// cache's sets.
  private static let tileStride = tileWidth + 16

  private let context: LayerContext
  private let exponentials: UnsafeMutablePointer<Float>  // a tile after the other, each (rowChunk, tileWidth) in rows of tileStride
  private let rowMaximum: UnsafeMutablePointer<Float>  // (rowChunk)
  private let rowSum: UnsafeMutablePointer<Float>  // (rowChunk)
  private let tileMaximum: UnsafeMutablePointer<Float>  // (tiles, rowChunk)
  private let rescale: UnsafeMutablePointer<Float>  // (rowChunk)
  private let labelLogit: UnsafeMutablePointer<Float>  // (rowChunk)
  private let factors: UnsafeMutablePointer<Float>  // (rowChunk)
  private let scaledRows: UnsafeMutablePointer<Float>  // (rowChunk, H)
  private let tileCount: Int

  package init(_ context: LayerContext) {
    self.context = context
    tileCount = (context.configuration.vocabularySize + Self.tileWidth - 1) / Self.tileWidth
    exponentials = context.workspace.floats(tileCount * Self.rowChunk * Self.tileStride)
    rowMaximum = context.workspace.floats(Self.rowChunk)
    rowSum = context.workspace.floats(Self.rowChunk)
    tileMaximum = context.workspace.floats(tileCount * Self.rowChunk)
    labelLogit = context.workspace.floats(Self.rowChunk)
    factors = context.workspace.floats(Self.rowChunk)
    rescale = context.workspace.floats(Self.rowChunk)
    scaledRows = context.workspace.floats(Self.rowChunk * context.configuration.hiddenSize)
  }

  /// The loss of t (M, H) for `labels` (M). With gradients in the pass, overwrites tGradient (M, H) and adds those of the table
  /// and the bias.
  package func callAsFunction(
    _ t: Matrix, labels: UnsafePointer<Int32>, tGradient: Matrix, _ pass: Pass
  ) -> Double {
    var loss = 0.0
    var start = 0
    while start < t.rows {
      let rows = start..<min(start + Self.rowChunk, t.rows)
      loss += forward(t.rows(rows), labels + start, tGradient.rows(rows), pass)
      if pass.gradients != nil { backward(t.rows(rows), labels + start, tGradient.rows(rows), pass) }
      start = rows.upperBound
    }
    return loss
  }

  private func tile(_ index: Int, rows: Int) -> (values: Matrix, vocabulary: Range<Int>) {
    let first = index * Self.tileWidth
    let last = min(first + Self.tileWidth, context.configuration.vocabularySize)
    let base = exponentials + index * Self.rowChunk * Self.tileStride
    return (Matrix(base, rows, last - first, stride: Self.tileStride), first..<last)
  }

  private func forward(
    _ t: Matrix, _ labels: UnsafePointer<Int32>, _ tGradient: Matrix, _ pass: Pass
  ) -> Double {
    let (layout, hidden, backend) = (context.layout, t.columns, context.backend)
    let bias = pass.parameters + layout.predictionBias
    for row in 0..<t.rows {
      rowMaximum[row] = -.infinity
      rowSum[row] = 0
    }
    for index in 0..<tileCount {
      let (values, vocabulary) = tile(index, rows: t.rows)
      let table = pass.weight(layout.wordEmbeddings + vocabulary.lowerBound * hidden, vocabulary.count, hidden)
      backend.project(t, table, into: values)
      for row in 0..<t.rows where vocabulary.contains(Int(labels[row])) {
        labelLogit[row] = values[row, Int(labels[row]) - vocabulary.lowerBound] + bias[Int(labels[row])]
      }
      backend.tileExponentials(
        values, bias: bias + vocabulary.lowerBound, rowMaximum: rowMaximum, rowSum: rowSum,
        tileMaximum: tileMaximum + index * Self.rowChunk, rescale: rescale)
      if pass.gradients == nil { continue }
      if index > 0 { backend.multiplyRows(tGradient, by: rescale, into: tGradient.base) }
      backend.multiply(
        values, transposed: false, table, transposed: false, into: tGradient, scale: 1, accumulates: index > 0)
    }
    var loss = 0.0
    for row in 0..<t.rows {
      loss += log(Double(rowSum[row])) + Double(rowMaximum[row]) - Double(labelLogit[row])
    }
    return loss
  }

  private func backward(_ t: Matrix, _ labels: UnsafePointer<Int32>, _ tGradient: Matrix, _ pass: Pass) {
    let (layout, hidden, backend) = (context.layout, t.columns, context.backend)
    let words = pass.parameters + layout.wordEmbeddings
    let (wordGradient, biasGradient) = (pass.gradient(layout.wordEmbeddings), pass.gradient(layout.predictionBias))
    for row in 0..<t.rows { factors[row] = 1 / rowSum[row] }
    backend.multiplyRows(tGradient, by: factors, into: tGradient.base)
    for index in 0..<tileCount {
      let (values, vocabulary) = tile(index, rows: t.rows)
      for row in 0..<t.rows {
        factors[row] = exp(tileMaximum[index * Self.rowChunk + row] - rowMaximum[row]) / rowSum[row]
      }
      backend.multiplyRows(t, by: factors, into: scaledRows)
      backend.multiply(
        values, transposed: true, Matrix(scaledRows, t.rows, hidden), transposed: false,
        into: Matrix(wordGradient + vocabulary.lowerBound * hidden, vocabulary.count, hidden), scale: 1,
        accumulates: true)
      backend.addWeightedColumnSums(of: values, weights: factors, to: biasGradient + vocabulary.lowerBound)
    }
    // The label's share, -onehot.
    for row in 0..<t.rows {
      let label = Int(labels[row])
      biasGradient[label] -= 1
      for column in 0..<hidden {
        tGradient[row, column] -= words[label * hidden + column]
        wordGradient[label * hidden + column] -= t[row, column]
      }
    }
  }
}
