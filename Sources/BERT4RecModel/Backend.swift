/// A view of a row-major matrix; `stride` floats lie between the beginnings of two rows.
package struct Matrix: @unchecked Sendable {
  package let base: UnsafeMutablePointer<Float>
  package let rows: Int
  package let columns: Int
  package let stride: Int

  package init(_ base: UnsafeMutablePointer<Float>, _ rows: Int, _ columns: Int, stride: Int? = nil) {
    self.base = base
    self.rows = rows
    self.columns = columns
    self.stride = stride ?? columns
  }

  /// Parameters are only read, but share the view's type.
  package init(_ base: UnsafePointer<Float>, _ rows: Int, _ columns: Int, stride: Int? = nil) {
    self.init(UnsafeMutablePointer(mutating: base), rows, columns, stride: stride)
  }

  /// A place for a view that a forward pass fills in.
  package static let none = Matrix(UnsafeMutablePointer<Float>.allocate(capacity: 1), 0, 0)

  package func columns(_ range: Range<Int>) -> Matrix { Matrix(base + range.lowerBound, rows, range.count, stride: stride) }
  package func rows(_ range: Range<Int>) -> Matrix {
    Matrix(base + range.lowerBound * stride, range.count, columns, stride: stride)
  }
}

/// Dropout of one site: which elements of which rows are dropped is a pure function of the row's key and the element.
package struct RowDropout: @unchecked Sendable {
  /// A key per row; nil where nothing is dropped.
  package let rowKeys: UnsafePointer<UInt64>?
  package let rate: DropoutRate

  package init(rowKeys: UnsafePointer<UInt64>?, rate: DropoutRate) {
    self.rowKeys = rowKeys
    self.rate = rate
  }

  package static let none = RowDropout(rowKeys: nil, rate: .none)
}

/// A dropout probability in 16-bit steps. What is kept is scaled by the quantised probability, so that the mean is exact.
package struct DropoutRate: Equatable, Sendable {
  /// An element is dropped when its 16-bit number is below this.
  package let threshold: UInt32

  package init(_ probability: Double) { threshold = UInt32((probability * 65536).rounded()) }

  package static let none = DropoutRate(0)

  package var scale: Float { 65536 / Float(65536 - threshold) }
}

/// What the layers compute with: matrix products and fused vector kernels. Layers call it and do not know which one it is.
///
/// Letters: R rows, H hidden, n keys, W width of a tile of the vocabulary. Unless it says "adds", an output is overwritten. The
/// equations stand here once; all backends follow them. What a backend does not fuse is made of its products, as below.
package protocol Backend: AnyObject, Sendable {
  /// c = scale * op(a) op(b), or c += the same with `accumulates`; op transposes where asked.
  func multiply(
    _ a: Matrix, transposed transposesA: Bool, _ b: Matrix, transposed transposesB: Bool, into c: Matrix, scale: Float,
    accumulates: Bool)

  /// y (R, O) = x (R, I) weightᵀ + bias (O), weight (O, I) as Hugging Face has it; without bias where what follows adds it.
  func project(_ x: Matrix, _ weight: Matrix, bias: UnsafePointer<Float>?, into y: Matrix)

  /// values (R, C) += bias (C) on each row.
  func addBias(_ bias: UnsafePointer<Float>, to values: Matrix)

  /// sums (C) += Σ rows of values (R, C).
  func addColumnSums(of values: Matrix, to sums: UnsafeMutablePointer<Float>)

  /// values = f(values + bias), derivative = f'(values + bias), both (R, C), contiguous.
  func activate(
    _ values: Matrix, bias: UnsafePointer<Float>, _ activation: Activation, derivative: UnsafeMutablePointer<Float>)

  /// gradient *= derivative, both (R, C), contiguous; biasGradient (C) += Σ rows.
  func activateBackward(
    _ gradient: Matrix, derivative: UnsafePointer<Float>, biasGradient: UnsafeMutablePointer<Float>)

  /// output = outputDropout(normalized * weight + bias), normalized = (x - mean) / √(variance + ε),
  /// x = inputDropout(input + inputBias) + residual; all (R, H), contiguous.
  func residualNorm(
    _ input: Matrix, inputBias: UnsafePointer<Float>?, inputDropout: RowDropout, residual: UnsafePointer<Float>?,
    weight: UnsafePointer<Float>, bias: UnsafePointer<Float>, outputDropout: RowDropout,
    output: UnsafeMutablePointer<Float>, saved: NormState)

  /// From the gradient of output to those of the residual and of the input; adds to the parameters' gradients.
  func residualNormBackward(
    _ outputGradient: Matrix, saved: NormState, weight: UnsafePointer<Float>, inputDropout: RowDropout,
    outputDropout: RowDropout, residualGradient: UnsafeMutablePointer<Float>,
    inputGradient: UnsafeMutablePointer<Float>?, weightGradient: UnsafeMutablePointer<Float>,
    biasGradient: UnsafeMutablePointer<Float>, inputBiasGradient: UnsafeMutablePointer<Float>?)

  /// One head of attention: context (r, d) = dropout(softmax(scale query keyᵀ)) value; `probabilities` (r, n) receives the signed
  /// probabilities as `softmax` gives them. `scratch` holds (r, n).
  func attend(_ head: AttentionHead, probabilities: Matrix, context: Matrix, dropout: RowDropout, scratch: Matrix)

  /// Mirror image: from the context's gradient (r, d) to those of query (r, d), key and value (n, d). Both scratches hold (r, n).
  func attendBackward(
    _ head: AttentionHead, probabilities: Matrix, contextGradient: Matrix, rate: DropoutRate,
    gradients: AttentionHead, scratch: (Matrix, Matrix))

  /// Softmax of each row of scores (R, n) in place, then dropout. |scores| becomes the probability, a minus sign marks a dropped
  /// one; `dropped` receives the probabilities after dropout. Strides are multiples of 16 and what stands behind n is scratch.
  func softmax(_ scores: Matrix, dropped: Matrix, dropout: RowDropout)

  /// From signed probabilities p and the gradient of the dropped ones to the gradient of the scores, in place:
  /// |p| (g - Σ |p| g), g = the gradient through dropout. `dropped` receives the dropped probabilities again.
  func softmaxBackward(_ signedProbabilities: Matrix, gradient: Matrix, dropped: Matrix, rate: DropoutRate)

  /// A vocabulary tile of the online softmax: logits (R, W) become exp(logits + bias - maximum), under the maximum of this tile and
  /// those before. A bias that is there already is left out.
  func tileExponentials(_ logits: Matrix, bias: UnsafePointer<Float>?, _ state: OnlineSoftmax)

  /// factors (R) = exp(tileMaximum - rowMaximum) / rowSum.
  func softmaxFactors(_ state: OnlineSoftmax, rows: Int, into factors: UnsafeMutablePointer<Float>)

  /// target (R, C) = values (R, C) * factors (R) per row; both contiguous, and may be the same.
  func multiplyRows(_ values: Matrix, by factors: UnsafePointer<Float>, into target: UnsafeMutablePointer<Float>)

  /// sums (C) += Σ weights (R) * rows of values (R, C).
  func addWeightedColumnSums(of values: Matrix, weights: UnsafePointer<Float>, to sums: UnsafeMutablePointer<Float>)

  /// One tile of the table in the loss's first sweep: exponentials (R, W) = exp(t tableᵀ + bias - maximum), labelLogits (R) of the
  /// rows whose label lies in the tile, and tGradient (R, H), where it is wanted, = tGradient * rescale + exponentials table (for
  /// the first tile without what was there).
  func vocabularyTile(
    _ t: Matrix, _ tile: VocabularyTile, labels: UnsafePointer<Int32>, exponentials: ExponentialTile, _ state: OnlineSoftmax,
    labelLogits: UnsafeMutablePointer<Float>, tGradient: Matrix?)

  /// The second sweep: tableGradient (W, H) += exponentialsᵀ (factors t), biasGradient (W) += exponentialsᵀ factors, or = where
  /// nothing is accumulated; t (R, H), factors (R), and a scratch (R, H).
  func vocabularyTileBackward(
    _ exponentials: ExponentialTile, _ t: Matrix, factors: UnsafePointer<Float>, scratch: Matrix, tableGradient: Matrix,
    biasGradient: UnsafeMutablePointer<Float>, accumulates: Bool)

  /// The label's share, -onehot, row by row: tGradient (R, H) -= words[label], wordGradient[label] -= t, biasGradient[label] -= 1.
  func subtractLabels(
    _ labels: UnsafePointer<Int32>, _ t: Matrix, words: UnsafePointer<Float>, tGradient: UnsafeMutablePointer<Float>,
    wordGradient: UnsafeMutablePointer<Float>, biasGradient: UnsafeMutablePointer<Float>)

  /// sums (R, H) = words[tokens] + type (H) + positions (R, H), the rows of one instance.
  func sumEmbeddings(
    _ tokens: UnsafePointer<Int32>, words: UnsafePointer<Float>, type: UnsafePointer<Float>,
    positions: UnsafePointer<Float>, into sums: Matrix)

  /// Mirror image, row by row: words[token] += sums, positions += sums.
  func addEmbeddingGradients(
    _ sums: Matrix, tokens: UnsafePointer<Int32>, words: UnsafeMutablePointer<Float>,
    positions: UnsafeMutablePointer<Float>)
}

/// What an online softmax over tiles of the vocabulary carries from tile to tile, for R rows.
package struct OnlineSoftmax {
  package let rowMaximum: UnsafeMutablePointer<Float>  // (R), so far
  package let rowSum: UnsafeMutablePointer<Float>  // (R), of the exponentials under that maximum
  package let tileMaximum: UnsafeMutablePointer<Float>  // (R), receives what this tile was shifted by
  package let rescale: UnsafeMutablePointer<Float>  // (R), receives exp(old maximum - new maximum)

  package init(
    rowMaximum: UnsafeMutablePointer<Float>, rowSum: UnsafeMutablePointer<Float>,
    tileMaximum: UnsafeMutablePointer<Float>, rescale: UnsafeMutablePointer<Float>
  ) {
    self.rowMaximum = rowMaximum
    self.rowSum = rowSum
    self.tileMaximum = tileMaximum
    self.rescale = rescale
  }
}

/// Memory for the exponentials of R rows over one tile of the vocabulary, between the loss's sweeps. How they stand in it is the
/// backend's own affair; `matrix` is the way of those that multiply them as matrices.
package struct ExponentialTile {
  /// Floats between rows of the matrix: one cache line more than the width, since a power of two would put all rows into few of
  /// the cache's sets.
  private static let stride = MaskedItemLoss.tileWidth + 16

  /// Floats of the largest tile.
  package static let capacity = MaskedItemLoss.rowChunk * stride

  package let base: UnsafeMutablePointer<Float>
  package let rows: Int
  package let width: Int
  /// Whether it is one of so many that none of them will still be in a cache when it is read.
  package let streams: Bool

  /// `base` begins at a multiple of 64 bytes.
  package init(_ base: UnsafeMutablePointer<Float>, rows: Int, width: Int, streams: Bool) {
    self.base = base
    self.rows = rows
    self.width = width
    self.streams = streams
  }

  package var matrix: Matrix { Matrix(base, rows, width, stride: Self.stride) }
}

/// Some neighbouring rows of the tied table with their biases.
package struct VocabularyTile {
  package let table: Matrix  // (W, H)
  package let bias: UnsafePointer<Float>  // (W)
  package let vocabulary: Range<Int>

  package init(table: Matrix, bias: UnsafePointer<Float>, vocabulary: Range<Int>) {
    self.table = table
    self.bias = bias
    self.vocabulary = vocabulary
  }
}

/// The operands of one head, or their gradients: query (r, d), key and value (n, d).
package struct AttentionHead {
  package let query: Matrix
  package let key: Matrix
  package let value: Matrix

  package init(query: Matrix, key: Matrix, value: Matrix) {
    self.query = query
    self.key = key
    self.value = value
  }

  /// 1 / √d
  package var scale: Float { 1 / Float(key.columns).squareRoot() }
}

/// What a LayerNorm keeps for its backward pass.
package struct NormState {
  package let normalized: UnsafeMutablePointer<Float>  // (R, H)
  package let inverseDeviation: UnsafeMutablePointer<Float>  // (R)

  package init(normalized: UnsafeMutablePointer<Float>, inverseDeviation: UnsafeMutablePointer<Float>) {
    self.normalized = normalized
    self.inverseDeviation = inverseDeviation
  }
}

extension Backend {
  package func attend(
    _ head: AttentionHead, probabilities: Matrix, context: Matrix, dropout: RowDropout, scratch: Matrix
  ) {
    multiply(
      head.query, transposed: false, head.key, transposed: true, into: probabilities, scale: head.scale,
      accumulates: false)
    softmax(probabilities, dropped: scratch, dropout: dropout)
    multiply(scratch, transposed: false, head.value, transposed: false, into: context, scale: 1, accumulates: false)
  }

  package func attendBackward(
    _ head: AttentionHead, probabilities: Matrix, contextGradient: Matrix, rate: DropoutRate,
    gradients: AttentionHead, scratch: (Matrix, Matrix)
  ) {
    let (gradient, dropped) = scratch
    multiply(
      contextGradient, transposed: false, head.value, transposed: true, into: gradient, scale: 1, accumulates: false)
    softmaxBackward(probabilities, gradient: gradient, dropped: dropped, rate: rate)
    multiply(
      gradient, transposed: false, head.key, transposed: false, into: gradients.query, scale: head.scale,
      accumulates: false)
    multiply(
      dropped, transposed: true, contextGradient, transposed: false, into: gradients.value, scale: 1,
      accumulates: false)
    multiply(
      gradient, transposed: true, head.query, transposed: false, into: gradients.key, scale: head.scale,
      accumulates: false)
  }

  package func project(_ x: Matrix, _ weight: Matrix, bias: UnsafePointer<Float>?, into y: Matrix) {
    multiply(x, transposed: false, weight, transposed: true, into: y, scale: 1, accumulates: false)
    if let bias { addBias(bias, to: y) }
  }

  package func vocabularyTile(
    _ t: Matrix, _ tile: VocabularyTile, labels: UnsafePointer<Int32>, exponentials: ExponentialTile, _ state: OnlineSoftmax,
    labelLogits: UnsafeMutablePointer<Float>, tGradient: Matrix?
  ) {
    let exponentials = exponentials.matrix
    project(t, tile.table, bias: tile.bias, into: exponentials)
    for row in 0..<t.rows where tile.vocabulary.contains(Int(labels[row])) {
      labelLogits[row] = exponentials[row, Int(labels[row]) - tile.vocabulary.lowerBound]
    }
    tileExponentials(exponentials, bias: nil, state)
    guard let tGradient else { return }
    let accumulates = tile.vocabulary.lowerBound > 0
    if accumulates { multiplyRows(tGradient, by: state.rescale, into: tGradient.base) }
    multiply(
      exponentials, transposed: false, tile.table, transposed: false, into: tGradient, scale: 1,
      accumulates: accumulates)
  }

  package func vocabularyTileBackward(
    _ exponentials: ExponentialTile, _ t: Matrix, factors: UnsafePointer<Float>, scratch: Matrix, tableGradient: Matrix,
    biasGradient: UnsafeMutablePointer<Float>, accumulates: Bool
  ) {
    multiplyRows(t, by: factors, into: scratch.base)
    multiply(
      exponentials.matrix, transposed: true, scratch, transposed: false, into: tableGradient, scale: 1,
      accumulates: accumulates)
    if !accumulates { biasGradient.update(repeating: 0, count: tableGradient.rows) }
    addWeightedColumnSums(of: exponentials.matrix, weights: factors, to: biasGradient)
  }

  /// Mirror image of `project`: xGradient (R, I) = or += yGradient weight; weightGradient (O, I) += yGradientᵀ x.
  func projectBackward(
    _ yGradient: Matrix, x: Matrix, _ weight: Matrix, xGradient: Matrix, accumulates: Bool,
    weightGradient: UnsafeMutablePointer<Float>
  ) {
    multiply(
      yGradient, transposed: true, x, transposed: false, into: Matrix(weightGradient, weight.rows, weight.columns),
      scale: 1, accumulates: true)
    multiply(
      yGradient, transposed: false, weight, transposed: false, into: xGradient, scale: 1, accumulates: accumulates)
  }
}
