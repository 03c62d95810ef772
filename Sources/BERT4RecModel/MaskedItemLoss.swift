import SystemSupport

/// The sum over masked items of the cross entropy over the whole vocabulary, with the tied projection:
///
///     logits = t Eᵀ + b,  loss = Σ (log Σ exp logits - logit of the label)
///     tGradient = (p - onehot) E,  E's gradient += (p - onehot)ᵀ t,  b's gradient += Σ rows (p - onehot)
///
/// Letters: M masked rows, V vocabulary, H hidden. The (M, V) logits never exist as a whole: rows are taken in chunks of
/// `rowChunk`, the vocabulary in tiles of `tileWidth`. A first sweep makes a tile's exponentials under a running maximum and,
/// while they are in the cache, their product with the table, which only lacks the final sums. A second sweep makes the table's
/// gradient; each row's final factor goes into t there, so the exponentials are read once and never written again. Those of the
/// first tiles are kept between the sweeps, up to a constant number; the second sweep makes the others again, with the same bits.
package final class MaskedItemLoss {
  package static var rowChunk: Int { ExponentialTile.mostRows }
  package static var tileWidth: Int { ExponentialTile.mostItems }
  /// Exponentials of a chunk beyond which they are written past the caches: 8 MiB of them. Shapes no bits.
  package static let cachedExponentials = 2 << 20
  /// Exponentials that are kept for the second sweep, for 256 rows of 66,000 items: 64 MiB. Shapes no bits.
  package static let keptExponentials = 16 << 20

  private let context: LayerContext
  private let exponentials: UnsafeMutablePointer<Float>  // a tile after the other, each `ExponentialTile.capacity`
  private let rowMaximum: UnsafeMutablePointer<Float>  // (rowChunk)
  private let rowSum: UnsafeMutablePointer<Float>  // (rowChunk)
  private let tileMaximum: UnsafeMutablePointer<Float>  // (tiles, rowChunk)
  private let rescale: UnsafeMutablePointer<Float>  // (rowChunk)
  private let labelLogits: UnsafeMutablePointer<Float>  // (rowChunk)
  private let factors: UnsafeMutablePointer<Float>  // (rowChunk)
  private let scaledRows: UnsafeMutablePointer<Float>  // (rowChunk, H)
  /// What the second sweep's own exponentials come with, which the first one has settled.
  private let unread: UnsafeMutablePointer<Float>  // (5, rowChunk)
  private let tileCount: Int
  /// Tiles whose exponentials are kept; all others share the place behind them.
  private let keptTiles: Int

  /// - Parameter keptExponentials: tests keep fewer.
  package init(_ context: LayerContext, keptExponentials: Int = MaskedItemLoss.keptExponentials) {
    self.context = context
    tileCount = (context.configuration.vocabularySize + Self.tileWidth - 1) / Self.tileWidth
    keptTiles = min(tileCount, keptExponentials / ExponentialTile.capacity)
    exponentials = context.workspace.floats(min(tileCount, keptTiles + 1) * ExponentialTile.capacity)
    unread = context.workspace.floats(keptTiles < tileCount ? 5 * Self.rowChunk : 0)
    rowMaximum = context.workspace.floats(Self.rowChunk)
    rowSum = context.workspace.floats(Self.rowChunk)
    tileMaximum = context.workspace.floats(tileCount * Self.rowChunk)
    labelLogits = context.workspace.floats(Self.rowChunk)
    factors = context.workspace.floats(Self.rowChunk)
    rescale = context.workspace.floats(Self.rowChunk)
    scaledRows = context.workspace.floats(Self.rowChunk * context.configuration.hiddenSize)
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

  private func tile(_ index: Int, rows: Int) -> (exponentials: ExponentialTile, vocabulary: Range<Int>) {
    let first = index * Self.tileWidth
    let last = min(first + Self.tileWidth, context.configuration.vocabularySize)
    let kept = min(keptTiles * Self.tileWidth, context.configuration.vocabularySize)
    return (
      ExponentialTile(
        exponentials + min(index, keptTiles) * ExponentialTile.capacity, rows: rows, width: last - first,
        streams: index < keptTiles && rows * kept > Self.cachedExponentials), first..<last
    )
  }

  private func vocabularyTile(_ vocabulary: Range<Int>, hidden: Int, _ pass: Pass) -> VocabularyTile {
    VocabularyTile(
      table: Matrix(
        pass.parameters + context.layout.wordEmbeddings + vocabulary.lowerBound * hidden, vocabulary.count, hidden),
      bias: pass.parameters + context.layout.predictionBias + vocabulary.lowerBound, vocabulary: vocabulary)
  }

  /// The exponentials of a tile that were not kept, again: under a maximum that is there already, none is larger.
  private func remake(_ index: Int, _ t: Matrix, _ labels: UnsafePointer<Int32>, _ pass: Pass) {
    let (exponentials, vocabulary) = tile(index, rows: t.rows)
    let maxima = tileMaximum + index * Self.rowChunk
    unread.update(from: maxima, count: t.rows)
    let state = OnlineSoftmax(
      rowMaximum: unread, rowSum: unread + Self.rowChunk, tileMaximum: unread + 2 * Self.rowChunk,
      rescale: unread + 3 * Self.rowChunk)
    context.backend.vocabularyTile(
      t, vocabularyTile(vocabulary, hidden: t.columns, pass), labels: labels, exponentials: exponentials, state,
      labelLogits: unread + 4 * Self.rowChunk, tGradient: nil)
  }

  /// What the online softmax carries, with the place of a tile's maxima.
  private func state(_ index: Int) -> OnlineSoftmax {
    OnlineSoftmax(
      rowMaximum: rowMaximum, rowSum: rowSum, tileMaximum: tileMaximum + index * Self.rowChunk, rescale: rescale)
  }

  private func forward(
    _ t: Matrix, _ labels: UnsafePointer<Int32>, _ tGradient: Matrix?, _ pass: Pass
  ) -> Double {
    for row in 0..<t.rows {
      rowMaximum[row] = -.infinity
      rowSum[row] = 0
    }
    for index in 0..<tileCount {
      Liveness.tick()
      let (exponentials, vocabulary) = tile(index, rows: t.rows)
      context.backend.vocabularyTile(
        t, vocabularyTile(vocabulary, hidden: t.columns, pass), labels: labels, exponentials: exponentials, state(index),
        labelLogits: labelLogits,
        tGradient: tGradient)
    }
    var loss = 0.0
    for row in 0..<t.rows {
      loss += PortableMath.log(Double(rowSum[row])) + Double(rowMaximum[row]) - Double(labelLogits[row])
    }
    return loss
  }

  private func backward(
    _ t: Matrix, _ labels: UnsafePointer<Int32>, _ tGradient: Matrix, overwritesTable: Bool, _ pass: Pass
  ) {
    let (layout, hidden, backend) = (context.layout, t.columns, context.backend)
    let (wordGradient, biasGradient) = (pass.gradient(layout.wordEmbeddings), pass.gradient(layout.predictionBias))
    for row in 0..<t.rows { factors[row] = 1 / rowSum[row] }
    backend.multiplyRows(tGradient, by: factors, into: tGradient.base)
    for index in 0..<tileCount {
      Liveness.tick()
      let (exponentials, vocabulary) = tile(index, rows: t.rows)
      if index >= keptTiles { remake(index, t, labels, pass) }
      backend.softmaxFactors(state(index), rows: t.rows, into: factors)
      backend.vocabularyTileBackward(
        exponentials, t, factors: factors, scratch: Matrix(scaledRows, t.rows, hidden),
        tableGradient: Matrix(wordGradient + vocabulary.lowerBound * hidden, vocabulary.count, hidden),
        biasGradient: biasGradient + vocabulary.lowerBound, accumulates: !overwritesTable)
    }
    backend.subtractLabels(
      labels, t, words: pass.parameters + layout.wordEmbeddings, tGradient: tGradient.base, wordGradient: wordGradient,
      biasGradient: biasGradient)
  }
}
