/// One post-LayerNorm transformer layer (Vaswani et al. 2017; Sun et al. 2019, section 3.3):
///
///     a = LayerNorm(x_R + dropout(attention(x) Woᵀ + bo))
///     y = LayerNorm(a + dropout(f(a W1ᵀ + b1) W2ᵀ + b2))
///
/// Letters: T tokens, R computed rows (all; in the last layer the masked ones), H hidden, I intermediate.
package final class EncoderLayer {
  private let context: LayerContext
  private let rows: QueryRows
  private let offsets: ParameterLayout.Layer
  private let attention: SelfAttention
  private let attentionDropout: RowDropoutKeys
  private let outputDropout: RowDropoutKeys
  private let scratch: Scratch

  private var input = Matrix.none  // x (T, H), the previous layer's
  private var inputRows = Matrix.none  // x_R (R, H)
  private let gathered: UnsafeMutablePointer<Float>  // (R, H), with masked rows
  private var attended = Matrix.none  // attention's context (R, H)
  private let attentionOutput: UnsafeMutablePointer<Float>  // a (R, H)
  private let attentionNorm: NormState
  private let activated: UnsafeMutablePointer<Float>  // f(a W1ᵀ + b1) (R, I)
  private let derivative: UnsafeMutablePointer<Float>  // f' (R, I)
  private let output: UnsafeMutablePointer<Float>  // y (R, H)
  private let outputNorm: NormState

  /// What all layers share.
  package struct Scratch {
    let projected: UnsafeMutablePointer<Float>  // (R, H)
    let inputGradient: UnsafeMutablePointer<Float>  // (R, H)
    let contextGradient: UnsafeMutablePointer<Float>  // (R, H)
    let activatedGradient: UnsafeMutablePointer<Float>  // (R, I)
    let rowsGradient: UnsafeMutablePointer<Float>  // (R, H)
    let attention: SelfAttention.Scratch

    package init(_ context: LayerContext) {
      projected = context.hiddenRows()
      inputGradient = context.backwardRows()
      contextGradient = context.backwardRows()
      activatedGradient = context.backwardFloats(context.rowCapacity * context.configuration.intermediateSize)
      rowsGradient = context.backwardRows()
      attention = SelfAttention.Scratch(context)
    }
  }

  package init(_ context: LayerContext, layer: Int, rows: QueryRows, scratch: Scratch) {
    self.context = context
    self.rows = rows
    self.scratch = scratch
    offsets = context.layout.layers[layer]
    let configuration = context.configuration
    attention = SelfAttention(context, layer: layer, rows: rows, scratch: scratch.attention)
    attentionDropout = RowDropoutKeys(
      context, site: .attentionOutput(layer: layer), probability: configuration.hiddenDropout)
    outputDropout = RowDropoutKeys(
      context, site: .feedForwardOutput(layer: layer), probability: configuration.hiddenDropout)
    gathered = context.hiddenRows()
    attentionOutput = context.hiddenRows()
    attentionNorm = context.norm()
    activated = context.workspace.floats(context.rowCapacity * configuration.intermediateSize)
    derivative = context.derivative(columns: configuration.intermediateSize)
    output = context.hiddenRows()
    outputNorm = context.norm()
  }

  /// Takes x (T, H), which must stay until `backward`; overwrites and returns y (R, H).
  package func forward(_ block: Block, x: Matrix, _ pass: Pass) -> Matrix {
    let (hidden, intermediate) = (context.configuration.hiddenSize, context.configuration.intermediateSize)
    let (backend, count) = (context.backend, rows.count(block))
    input = x
    inputRows = rows == .all ? x : gather(block, x)
    attended = attention.forward(block, x: x, queryRows: inputRows, pass)

    let projected = Matrix(scratch.projected, count, hidden)
    backend.project(attended, pass.weight(offsets.attentionOutputWeight, hidden, hidden), bias: nil, into: projected)
    backend.residualNorm(
      projected, inputBias: pass.parameters + offsets.attentionOutputBias,
      inputDropout: attentionDropout.forward(block, rows, pass), residual: inputRows.base,
      weight: pass.parameters + offsets.attentionNormWeight, bias: pass.parameters + offsets.attentionNormBias,
      outputDropout: .none, output: attentionOutput, saved: attentionNorm)

    let a = Matrix(attentionOutput, count, hidden)
    let activated = Matrix(activated, count, intermediate)
    backend.project(a, pass.weight(offsets.intermediateWeight, intermediate, hidden), bias: nil, into: activated)
    backend.activate(
      activated, bias: pass.parameters + offsets.intermediateBias, context.configuration.activation,
      derivative: derivative)
    backend.project(activated, pass.weight(offsets.outputWeight, hidden, intermediate), bias: nil, into: projected)
    backend.residualNorm(
      projected, inputBias: pass.parameters + offsets.outputBias,
      inputDropout: outputDropout.forward(block, rows, pass), residual: attentionOutput,
      weight: pass.parameters + offsets.outputNormWeight, bias: pass.parameters + offsets.outputNormBias,
      outputDropout: .none, output: output, saved: outputNorm)
    return Matrix(output, count, hidden)
  }

  /// Takes the gradient of y (R, H), which it may overwrite; overwrites xGradient (T, H) and adds the parameters' gradients.
  package func backward(_ block: Block, _ gradient: Matrix, xGradient: Matrix, _ pass: Pass) {
    let (hidden, intermediate) = (context.configuration.hiddenSize, context.configuration.intermediateSize)
    let (backend, count) = (context.backend, rows.count(block))
    let projectedGradient = Matrix(scratch.inputGradient, count, hidden)

    // `gradient` becomes a's gradient: through the residual first, then through the feed-forward block.
    backend.residualNormBackward(
      gradient, saved: outputNorm, weight: pass.parameters + offsets.outputNormWeight,
      inputDropout: outputDropout.backward(pass), outputDropout: .none, residualGradient: gradient.base,
      inputGradient: projectedGradient.base, weightGradient: pass.gradient(offsets.outputNormWeight),
      biasGradient: pass.gradient(offsets.outputNormBias), inputBiasGradient: pass.gradient(offsets.outputBias))
    let activatedGradient = Matrix(scratch.activatedGradient, count, intermediate)
    backend.projectBackward(
      projectedGradient, x: Matrix(activated, count, intermediate),
      pass.weight(offsets.outputWeight, hidden, intermediate), xGradient: activatedGradient, accumulates: false,
      weightGradient: pass.gradient(offsets.outputWeight))
    backend.activateBackward(
      activatedGradient, derivative: derivative, biasGradient: pass.gradient(offsets.intermediateBias))
    backend.projectBackward(
      activatedGradient, x: Matrix(attentionOutput, count, hidden),
      pass.weight(offsets.intermediateWeight, intermediate, hidden), xGradient: gradient, accumulates: true,
      weightGradient: pass.gradient(offsets.intermediateWeight))

    let rowsGradient = rows == .all ? xGradient : Matrix(scratch.rowsGradient, count, hidden)
    backend.residualNormBackward(
      gradient, saved: attentionNorm, weight: pass.parameters + offsets.attentionNormWeight,
      inputDropout: attentionDropout.backward(pass), outputDropout: .none, residualGradient: rowsGradient.base,
      inputGradient: projectedGradient.base, weightGradient: pass.gradient(offsets.attentionNormWeight),
      biasGradient: pass.gradient(offsets.attentionNormBias),
      inputBiasGradient: pass.gradient(offsets.attentionOutputBias))
    let contextGradient = Matrix(scratch.contextGradient, count, hidden)
    backend.projectBackward(
      projectedGradient, x: attended, pass.weight(offsets.attentionOutputWeight, hidden, hidden),
      xGradient: contextGradient, accumulates: false, weightGradient: pass.gradient(offsets.attentionOutputWeight))
    attention.backward(
      block, contextGradient: contextGradient, x: input, queryRows: inputRows, xGradient: xGradient,
      queryRowsGradient: rowsGradient, pass)
    if rows == .masked { scatter(block, rowsGradient, into: xGradient) }
  }

  private func gather(_ block: Block, _ x: Matrix) -> Matrix {
    let hidden = x.columns
    for row in 0..<block.maskedCount {
      (gathered + row * hidden).update(from: x.base + block.maskedRow(row) * hidden, count: hidden)
    }
    return Matrix(gathered, block.maskedCount, hidden)
  }

  private func scatter(_ block: Block, _ rows: Matrix, into x: Matrix) {
    let hidden = x.columns
    for row in 0..<block.maskedCount {
      let (source, target) = (rows.base + row * hidden, x.base + block.maskedRow(row) * hidden)
      for column in 0..<hidden { target[column] += source[column] }
    }
  }
}
