/// What a backend does not fuse, made of its products.
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

  package func tileLogits(
    _ t: Matrix, _ tile: VocabularyTile, labels: UnsafePointer<Int32>, into logits: ExponentialTile,
    largest: UnsafeMutablePointer<Float>, labelLogits: UnsafeMutablePointer<Float>
  ) {
    let logits = logits.matrix
    project(t, tile.table, bias: tile.bias, into: logits)
    for row in 0..<t.rows {
      if tile.vocabulary.contains(Int(labels[row])) { labelLogits[row] = logits[row, Int(labels[row]) - tile.vocabulary.lowerBound] }
      var top = -Float.infinity
      for column in 0..<logits.columns where logits[row, column] > top { top = logits[row, column] }
      largest[row] = top
    }
  }

  package func tileProducts(
    _ tile: VocabularyTile, _ exponentials: ExponentialTile, _ state: OnlineSoftmax, parts: UnsafeMutablePointer<Float>?
  ) { tileExponentials(exponentials.matrix, bias: nil, state) }

  package func tileParts(width: Int) -> Int { 0 }

  package func addTile(
    _ tile: VocabularyTile, _ products: TileProducts, to tGradient: Matrix, rowSum: UnsafeMutablePointer<Float>
  ) {
    for row in 0..<tGradient.rows { rowSum[row] = products.sums[row].addingProduct(rowSum[row], products.rescale[row]) }
    let accumulates = tile.vocabulary.lowerBound > 0
    if accumulates { multiplyRows(tGradient, by: products.rescale, into: tGradient.base) }
    multiply(
      products.exponentials.matrix, transposed: false, tile.table, transposed: false, into: tGradient, scale: 1, accumulates: accumulates)
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
    _ yGradient: Matrix, x: Matrix, _ weight: Matrix, xGradient: Matrix, accumulates: Bool, weightGradient: Matrix
  ) {
    multiply(yGradient, transposed: true, x, transposed: false, into: weightGradient, scale: 1, accumulates: true)
    multiply(
      yGradient, transposed: false, weight, transposed: false, into: xGradient, scale: 1, accumulates: accumulates)
  }
}
