import SystemSupport

/// The sum over masked items of the cross entropy over the whole vocabulary, with the tied projection:
///
///     logits = t Eᵀ + b,  loss = Σ (log Σ exp logits - logit of the label)
///     tGradient = (p - onehot) E,  E's gradient += (p - onehot)ᵀ t,  b's gradient += Σ rows (p - onehot)
///
/// Letters: M masked rows, V vocabulary, H hidden. The (M, V) logits never exist as a whole: rows are taken in chunks of
/// `rowChunk`, the vocabulary in tiles of `tileWidth`. A first sweep makes a tile's exponentials under its own maximum and,
/// while they are in the cache, their product with the table, and adds both to what the tiles before have come to under a
/// running maximum: only the final sums lack. A second sweep makes the table's gradient; each row's final factor goes into t
/// there, so the exponentials are read once and never written again. Those of the first tiles are kept between the sweeps, up
/// to a constant number; the second sweep makes the others again, with the same bits.
package final class MaskedItemLoss {
  package static var rowChunk: Int { ExponentialTile.mostRows }
  package static var tileWidth: Int { ExponentialTile.mostItems }
  /// Exponentials of a chunk beyond which they are written past the caches: 8 MiB of them. Shapes no bits.
  package static let cachedExponentials = 2 << 20
  /// Exponentials that are kept for the second sweep, for 256 rows of 66,000 items: 64 MiB. Shapes no bits.
  package static let keptExponentials = 16 << 20

  private let context: LayerContext
  private let exponentials: UnsafeMutablePointer<Float>  // a tile after the other, each `ExponentialTile.capacity`
  private let rowSums: SoftmaxSums  // (rowChunk)
  private let tileMaximum: UnsafeMutablePointer<Float>  // (tiles, rowChunk)
  private let tileSum: UnsafeMutablePointer<Float>  // (rowChunk)
  private let labelLogits: UnsafeMutablePointer<Float>  // (rowChunk)
  private let factors: UnsafeMutablePointer<Float>  // (rowChunk)
  /// Products of a tile, in the second sweep rows with their factors.
  private let scratch: UnsafeMutablePointer<Float>  // (rowChunk, H)
  private let tileCount: Int
  /// Tiles whose exponentials are kept; all others share the place behind them.
  private let keptTiles: Int

  /// - Parameter keptExponentials: tests keep fewer.
  package init(_ context: LayerContext, keptExponentials: Int = MaskedItemLoss.keptExponentials) {
    self.context = context
    tileCount = VocabularyTile.count(vocabularySize: context.configuration.vocabularySize)
    keptTiles = min(tileCount, keptExponentials / ExponentialTile.capacity)
    exponentials = context.workspace.floats(min(tileCount, keptTiles + 1) * ExponentialTile.capacity)
    rowSums = SoftmaxSums(maximum: context.workspace.floats(Self.rowChunk), sum: context.workspace.floats(Self.rowChunk))
    tileMaximum = context.workspace.floats(tileCount * Self.rowChunk)
    labelLogits = context.workspace.floats(Self.rowChunk)
    factors = context.workspace.floats(Self.rowChunk)
    tileSum = context.workspace.floats(Self.rowChunk)
    scratch = context.workspace.floats(Self.rowChunk * context.configuration.hiddenSize)
  }

  /// The loss of t (M, H) for `labels` (M). With a place for it, overwrites tGradient (M, H) and adds the gradients of the table
  /// and the bias, or overwrites them too.
  package func callAsFunction(
    _ t: Matrix, labels: UnsafePointer<Int32>, tGradient: Matrix?, overwritesTable: Bool = false, _ pass: Pass
  ) -> Double {
    var loss = 0.0
    var start = 0
    while start < t.rows {
      let rows = start..<min(start + Self.rowChunk, t.rows)
      let gradient = tGradient?.rows(rows)
      loss += forward(t.rows(rows), labels + start, gradient, pass)
      if let gradient {
        backward(t.rows(rows), labels + start, gradient, overwritesTable: overwritesTable && start == 0, pass)
      }
      start = rows.upperBound
    }
    return loss
  }

  private func exponentials(_ index: Int, rows: Int) -> ExponentialTile {
    let size = context.configuration.vocabularySize
    return ExponentialTile(
      exponentials + min(index, keptTiles) * ExponentialTile.capacity, rows: rows, width: VocabularyTile.vocabulary(index, of: size).count,
      streams: index < keptTiles && rows * min(keptTiles * Self.tileWidth, size) > Self.cachedExponentials)
  }

  /// A tile's exponentials and what they come to.
  private func make(
    _ index: Int, _ t: Matrix, _ labels: UnsafePointer<Int32>, products: UnsafeMutablePointer<Float>?, addingTo total: OnlineSoftmax?,
    _ pass: Pass
  ) {
    let sums = SoftmaxSums(maximum: tileMaximum + index * Self.rowChunk, sum: tileSum)
    context.backend.vocabularyTile(
      t, VocabularyTile(index, context.configuration, context.layout, parameters: pass.parameters), labels: labels,
      into: TileResult(exponentials(index, rows: t.rows), sums, labelLogits: labelLogits, products: products), addingTo: total)
  }

  private func forward(
    _ t: Matrix, _ labels: UnsafePointer<Int32>, _ tGradient: Matrix?, _ pass: Pass
  ) -> Double {
    let total = OnlineSoftmax(rowSums, rowGradients: tGradient?.base)
    total.begin(rows: t.rows)
    for index in 0..<tileCount {
      Liveness.tick()
      make(index, t, labels, products: tGradient == nil ? nil : scratch, addingTo: total, pass)
    }
    return rowSums.loss(labelLogits: labelLogits, rows: t.rows)
  }

  private func backward(
    _ t: Matrix, _ labels: UnsafePointer<Int32>, _ tGradient: Matrix, overwritesTable: Bool, _ pass: Pass
  ) {
    let (layout, hidden, backend) = (context.layout, t.columns, context.backend)
    let (wordGradient, biasGradient) = (pass.gradient(layout.wordEmbeddings), pass.gradient(layout.predictionBias))
    for row in 0..<t.rows { factors[row] = 1 / rowSums.sum[row] }
    backend.multiplyRows(tGradient, by: factors, into: tGradient.base)
    for index in 0..<tileCount {
      Liveness.tick()
      let vocabulary = VocabularyTile.vocabulary(index, of: context.configuration.vocabularySize)
      // With the same bits. All else that it comes to is known.
      if index >= keptTiles { make(index, t, labels, products: nil, addingTo: nil, pass) }
      backend.softmaxFactors(tileMaximum: tileMaximum + index * Self.rowChunk, rowSums, rows: t.rows, into: factors)
      backend.vocabularyTileBackward(
        exponentials(index, rows: t.rows), t, factors: factors, scratch: Matrix(scratch, t.rows, hidden),
        tableGradient: Matrix(wordGradient + vocabulary.lowerBound * hidden, vocabulary.count, hidden),
        biasGradient: biasGradient + vocabulary.lowerBound, accumulates: !overwritesTable)
    }
    backend.subtractLabels(
      labels, t, words: pass.parameters + layout.wordEmbeddings, tGradient: tGradient.base, wordGradient: wordGradient,
      biasGradient: biasGradient)
  }
}
