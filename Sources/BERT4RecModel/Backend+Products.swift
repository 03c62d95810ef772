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
    _ t: Matrix, _ tile: VocabularyTile, labels: UnsafePointer<Int32>, into result: TileResult, addingTo total: OnlineSoftmax?
  ) {
    let exponentials = result.exponentials.matrix
    project(t, tile.table, bias: tile.bias, into: exponentials)
    for row in 0..<t.rows where tile.vocabulary.contains(Int(labels[row])) {
      result.labelLogits[row] = exponentials[row, Int(labels[row]) - tile.vocabulary.lowerBound]
    }
    OnlineSoftmax(result.sums, rowGradients: nil).begin(rows: t.rows)
    tileExponentials(exponentials, bias: nil, result.sums)
    if let products = result.products {
      multiply(
        exponentials, transposed: false, tile.table, transposed: false, into: Matrix(products, t.rows, t.columns), scale: 1,
        accumulates: false)
    }
    if let total { addTile(result.sums, products: result.products, rows: t.rows, hidden: t.columns, to: total) }
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
