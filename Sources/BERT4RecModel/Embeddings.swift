/// x = dropout(LayerNorm(word[token] + position[place in the instance] + type[0])), (T, H).
package final class Embeddings {
  private let context: LayerContext
  private let dropout: RowDropoutKeys
  private let sums: UnsafeMutablePointer<Float>  // (T, H)
  private let output: UnsafeMutablePointer<Float>  // (T, H)
  private let saved: NormState

  package init(_ context: LayerContext) {
    self.context = context
    dropout = RowDropoutKeys(context, site: .embeddings, probability: context.configuration.hiddenDropout)
    sums = context.hiddenRows()
    output = context.hiddenRows()
    saved = context.norm()
  }

  /// Overwrites and returns x (T, H).
  package func forward(_ block: Block, _ pass: Pass) -> Matrix {
    let (hidden, layout) = (context.configuration.hiddenSize, context.layout)
    let words = pass.parameters + layout.wordEmbeddings
    let positions = pass.parameters + layout.positionEmbeddings
    let type = pass.parameters + layout.tokenTypeEmbeddings
    for instance in 0..<block.instanceCount {
      let rows = block.tokenRange(instance)
      context.backend.sumEmbeddings(
        block.tokens + rows.lowerBound, words: words, type: type, positions: positions,
        into: Matrix(sums + rows.lowerBound * hidden, rows.count, hidden))
    }
    context.backend.residualNorm(
      Matrix(sums, block.tokenCount, hidden), inputBias: nil, inputDropout: .none, residual: nil,
      weight: pass.parameters + layout.embeddingNormWeight, bias: pass.parameters + layout.embeddingNormBias,
      outputDropout: dropout.forward(block, .all, pass), output: output, saved: saved)
    return Matrix(output, block.tokenCount, hidden)
  }

  /// Takes the gradient of x (T, H) and adds those of the three tables and of the LayerNorm.
  package func backward(_ block: Block, _ gradient: Matrix, _ pass: Pass) {
    let (hidden, layout) = (context.configuration.hiddenSize, context.layout)
    context.backend.residualNormBackward(
      gradient, saved: saved, weight: pass.parameters + layout.embeddingNormWeight, inputDropout: .none,
      outputDropout: dropout.backward(pass), residualGradient: sums, inputGradient: nil,
      weightGradient: pass.gradient(layout.embeddingNormWeight), biasGradient: pass.gradient(layout.embeddingNormBias),
      inputBiasGradient: nil)
    let words = pass.gradient(layout.wordEmbeddings)
    let positions = pass.gradient(layout.positionEmbeddings)
    context.backend.addColumnSums(
      of: Matrix(sums, block.tokenCount, hidden), to: pass.gradient(layout.tokenTypeEmbeddings))
    for instance in 0..<block.instanceCount {
      let rows = block.tokenRange(instance)
      context.backend.addEmbeddingGradients(
        Matrix(sums + rows.lowerBound * hidden, rows.count, hidden), tokens: block.tokens + rows.lowerBound, words: words,
        positions: positions)
    }
  }
}
