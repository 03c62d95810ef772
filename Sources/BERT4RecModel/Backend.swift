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

  /// output = outputDropout(normalized * norm.weight + norm.bias), normalized = (x - mean) / √(variance + ε),
  /// x = inputDropout(input + inputBias) + residual; all (R, H), contiguous.
  func residualNorm(
    _ input: Matrix, inputBias: UnsafePointer<Float>?, inputDropout: RowDropout, residual: UnsafePointer<Float>?,
    norm: NormParameters, outputDropout: RowDropout, output: UnsafeMutablePointer<Float>, saved: NormState)

  /// From the gradient of output to those of the residual and of the input; adds to the parameters' gradients.
  func residualNormBackward(
    _ outputGradient: Matrix, saved: NormState, norm: NormParameters, inputDropout: RowDropout, outputDropout: RowDropout,
    residualGradient: UnsafeMutablePointer<Float>, inputGradient: UnsafeMutablePointer<Float>?, gradients: NormGradients,
    inputBiasGradient: UnsafeMutablePointer<Float>?)

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

  /// logits (R, W) become exp(logits + bias - maximum), under the larger of their maximum and that which `sums` begins with; `sums`
  /// receives those of both. A bias that is there already is left out.
  func tileExponentials(_ logits: Matrix, bias: UnsafePointer<Float>?, _ sums: SoftmaxSums)

  /// factors (R) = exp(tileMaximum - maximum) / sum.
  func softmaxFactors(
    tileMaximum: UnsafePointer<Float>, _ sums: SoftmaxSums, rows: Int, into factors: UnsafeMutablePointer<Float>)

  /// target (R, C) = values (R, C) * factors (R) per row; both contiguous, and may be the same.
  func multiplyRows(_ values: Matrix, by factors: UnsafePointer<Float>, into target: UnsafeMutablePointer<Float>)

  /// sums (C) += Σ weights (R) * rows of values (R, C).
  func addWeightedColumnSums(of values: Matrix, weights: UnsafePointer<Float>, to sums: UnsafeMutablePointer<Float>)

  /// One tile of the table in the loss's first sweep, of t (R, H). With `total` the result is added to that as `addTile` does, and its
  /// products are only scratch.
  func vocabularyTile(
    _ t: Matrix, _ tile: VocabularyTile, labels: UnsafePointer<Int32>, into result: TileResult, addingTo total: OnlineSoftmax?)

  /// Adds a tile of R rows, all under the larger of both maxima: total = total * exp(total's maximum - larger) + tile * exp(tile's
  /// maximum - larger). `products` (R, H) as in `TileResult`.
  func addTile(_ sums: SoftmaxSums, products: UnsafePointer<Float>?, rows: Int, hidden: Int, to total: OnlineSoftmax)

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
