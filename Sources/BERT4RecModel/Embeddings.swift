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

  /// What the forward pass leaves for the backward pass of the same block.
  package struct Activations {
    package let output: Matrix  // x (T, H)
    let dropout: RowDropout
  }

  /// Overwrites x (T, H).
  package func forward(_ block: Block, _ pass: Pass) -> Activations {
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
    let activations = Activations(
      output: Matrix(output, block.tokenCount, hidden), dropout: dropout.forward(block, .all, pass))
    context.backend.residualNorm(
      Matrix(sums, block.tokenCount, hidden), inputBias: nil, inputDropout: .none, residual: nil,
      norm: pass[layout.embeddingNorm], outputDropout: activations.dropout, output: output, saved: saved)
    return activations
  }

  /// Takes the gradient of x (T, H) and adds those of the three tables and of the LayerNorm.
  package func backward(_ block: Block, _ activations: Activations, _ gradient: Matrix, _ pass: Pass) {
    let (hidden, layout) = (context.configuration.hiddenSize, context.layout)
    context.backend.residualNormBackward(
      gradient, saved: saved, norm: pass[layout.embeddingNorm], inputDropout: .none, outputDropout: activations.dropout,
      residualGradient: sums, inputGradient: nil, gradients: pass.gradients(layout.embeddingNorm), inputBiasGradient: nil)
    let positions = pass.gradient(layout.positionEmbeddings)
    context.backend.addColumnSums(
      of: Matrix(sums, block.tokenCount, hidden), to: pass.gradient(layout.tokenTypeEmbeddings))
    if pass.tokenRows != nil || pass.rows != nil {
      pass.tokenRows?.update(from: sums, count: block.tokenCount * hidden)
      for instance in 0..<block.instanceCount {
        for (position, row) in block.tokenRange(instance).enumerated() {
          if let touched = pass.rows { add(sums + row * hidden, to: touched.row(block.tokens[row]), count: hidden) }
          add(sums + row * hidden, to: positions + position * hidden, count: hidden)
        }
      }
      return
    }
    let words = pass.gradient(layout.wordEmbeddings)
    for instance in 0..<block.instanceCount {
      let rows = block.tokenRange(instance)
      context.backend.addEmbeddingGradients(
        Matrix(sums + rows.lowerBound * hidden, rows.count, hidden), tokens: block.tokens + rows.lowerBound, words: words,
        positions: positions)
    }
  }
}
