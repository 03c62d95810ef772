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
/// `rowChunk`, the vocabulary in tiles of `tileWidth`; one sweep makes logits and their exponentials under a running maximum, a
/// second one, once the sums are known, both gradients.
package final class MaskedItemLoss {
  /// Both shape the order of additions, so they are part of `numericsVersion`.
  package static let rowChunk = 128
  package static let tileWidth = 512

  private let context: LayerContext
  private let exponentials: UnsafeMutablePointer<Float>  // a tile after the other, each (rowChunk, tileWidth)
  private let rowMaximum: UnsafeMutablePointer<Float>  // (rowChunk)
  private let rowSum: UnsafeMutablePointer<Float>  // (rowChunk)
  private let tileMaximum: UnsafeMutablePointer<Float>  // (tiles, rowChunk)
  private let labelLogit: UnsafeMutablePointer<Float>  // (rowChunk)
  private let factors: UnsafeMutablePointer<Float>  // (rowChunk)
  private let tileCount: Int

  package init(_ context: LayerContext) {
    self.context = context
    tileCount = (context.configuration.vocabularySize + Self.tileWidth - 1) / Self.tileWidth
    exponentials = context.workspace.floats(tileCount * Self.rowChunk * Self.tileWidth)
    rowMaximum = context.workspace.floats(Self.rowChunk)
    rowSum = context.workspace.floats(Self.rowChunk)
    tileMaximum = context.workspace.floats(tileCount * Self.rowChunk)
    labelLogit = context.workspace.floats(Self.rowChunk)
    factors = context.workspace.floats(Self.rowChunk)
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
      loss += forward(t.rows(rows), labels + start, pass)
      if pass.gradients != nil { backward(t.rows(rows), labels + start, tGradient.rows(rows), pass) }
      start = rows.upperBound
    }
    return loss
  }

  private func tile(_ index: Int, rows: Int) -> (values: Matrix, vocabulary: Range<Int>) {
    let first = index * Self.tileWidth
    let last = min(first + Self.tileWidth, context.configuration.vocabularySize)
    let base = exponentials + index * Self.rowChunk * Self.tileWidth
    return (Matrix(base, rows, last - first, stride: Self.tileWidth), first..<last)
  }

  private func forward(_ t: Matrix, _ labels: UnsafePointer<Int32>, _ pass: Pass) -> Double {
    let (layout, hidden) = (context.layout, t.columns)
    let bias = pass.parameters + layout.predictionBias
    for row in 0..<t.rows {
      rowMaximum[row] = -.infinity
      rowSum[row] = 0
    }
    for index in 0..<tileCount {
      let (values, vocabulary) = tile(index, rows: t.rows)
      context.backend.project(
        t, pass.weight(layout.wordEmbeddings + vocabulary.lowerBound * hidden, vocabulary.count, hidden), into: values)
      for row in 0..<t.rows where vocabulary.contains(Int(labels[row])) {
        labelLogit[row] = values[row, Int(labels[row]) - vocabulary.lowerBound] + bias[Int(labels[row])]
      }
      context.backend.tileExponentials(
        values, bias: bias + vocabulary.lowerBound, rowMaximum: rowMaximum, rowSum: rowSum,
        tileMaximum: tileMaximum + index * Self.rowChunk)
    }
    var loss = 0.0
    for row in 0..<t.rows {
      loss += log(Double(rowSum[row])) + Double(rowMaximum[row]) - Double(labelLogit[row])
    }
    return loss
  }

  private func backward(_ t: Matrix, _ labels: UnsafePointer<Int32>, _ tGradient: Matrix, _ pass: Pass) {
    let (layout, hidden, backend) = (context.layout, t.columns, context.backend)
    let biasGradient = pass.gradient(layout.predictionBias)
    for index in 0..<tileCount {
      let (values, vocabulary) = tile(index, rows: t.rows)
      for row in 0..<t.rows {
        factors[row] = exp(tileMaximum[index * Self.rowChunk + row] - rowMaximum[row]) / rowSum[row]
      }
      backend.scaleRows(values, factors: factors, columnSums: biasGradient + vocabulary.lowerBound)
      for row in 0..<t.rows where vocabulary.contains(Int(labels[row])) {
        values[row, Int(labels[row]) - vocabulary.lowerBound] -= 1
        biasGradient[Int(labels[row])] -= 1
      }
      backend.projectBackward(
        values, x: t,
        pass.weight(layout.wordEmbeddings + vocabulary.lowerBound * hidden, vocabulary.count, hidden),
        xGradient: tGradient, accumulates: index > 0,
        weightGradient: pass.gradient(layout.wordEmbeddings + vocabulary.lowerBound * hidden))
    }
  }
}
