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

  private let gathered: UnsafeMutablePointer<Float>  // (R, H), with masked rows
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

  /// What the forward pass leaves for the backward pass of the same block.
  package struct Activations {
    let attention: SelfAttention.Activations
    let attentionDropout: RowDropout
    let attentionOutput: Matrix  // a (R, H)
    let activated: Matrix  // f(a W1ᵀ + b1) (R, I)
    let outputDropout: RowDropout
    package let output: Matrix  // y (R, H)
  }

  /// Takes x (T, H), which must stay until `backward`; overwrites y (R, H).
  package func forward(_ block: Block, x: Matrix, _ pass: Pass) -> Activations {
    let (hidden, backend, count) = (context.configuration.hiddenSize, context.backend, rows.count(block))
    let queryRows = rows == .all ? x : gather(block, x)
    let activations = Activations(
      attention: attention.forward(block, x: x, queryRows: queryRows, pass),
      attentionDropout: attentionDropout.forward(block, rows, pass),
      attentionOutput: Matrix(attentionOutput, count, hidden),
      activated: Matrix(activated, count, context.configuration.intermediateSize),
      outputDropout: outputDropout.forward(block, rows, pass), output: Matrix(output, count, hidden))

    let (projected, a) = (Matrix(scratch.projected, count, hidden), activations.attentionOutput)
    let (dense, intermediate, output) = (pass[offsets.attentionOutput], pass[offsets.intermediate], pass[offsets.output])
    backend.project(activations.attention.context, dense.weight, bias: nil, into: projected)
    backend.residualNorm(
      projected, inputBias: dense.bias, inputDropout: activations.attentionDropout, residual: queryRows.base,
      norm: pass[offsets.attentionNorm], outputDropout: .none, output: a.base, saved: attentionNorm)
    backend.project(a, intermediate.weight, bias: nil, into: activations.activated)
    backend.activate(
      activations.activated, bias: intermediate.bias, context.configuration.activation, derivative: derivative)
    backend.project(activations.activated, output.weight, bias: nil, into: projected)
    backend.residualNorm(
      projected, inputBias: output.bias, inputDropout: activations.outputDropout, residual: a.base,
      norm: pass[offsets.outputNorm], outputDropout: .none, output: activations.output.base, saved: outputNorm)
    return activations
  }

  /// Takes the gradient of y (R, H), which it may overwrite; overwrites xGradient (T, H) and adds the parameters' gradients.
  package func backward(
    _ block: Block, _ activations: Activations, _ gradient: Matrix, xGradient: Matrix, _ pass: Pass
  ) {
    let (hidden, backend, count) = (context.configuration.hiddenSize, context.backend, rows.count(block))
    let projectedGradient = Matrix(scratch.inputGradient, count, hidden)
    let (dense, intermediate, output) = (
      pass.gradients(offsets.attentionOutput), pass.gradients(offsets.intermediate), pass.gradients(offsets.output)
    )

    // `gradient` becomes a's gradient: through the residual first, then through the feed-forward block.
    backend.residualNormBackward(
      gradient, saved: outputNorm, norm: pass[offsets.outputNorm], inputDropout: activations.outputDropout,
      outputDropout: .none, residualGradient: gradient.base, inputGradient: projectedGradient.base,
      gradients: pass.gradients(offsets.outputNorm), inputBiasGradient: output.bias)
    let activatedGradient = Matrix(scratch.activatedGradient, count, context.configuration.intermediateSize)
    backend.projectBackward(
      projectedGradient, x: activations.activated, pass[offsets.output].weight, xGradient: activatedGradient,
      accumulates: false, weightGradient: output.weight)
    backend.activateBackward(activatedGradient, derivative: derivative, biasGradient: intermediate.bias)
    backend.projectBackward(
      activatedGradient, x: activations.attentionOutput, pass[offsets.intermediate].weight, xGradient: gradient,
      accumulates: true, weightGradient: intermediate.weight)

    let rowsGradient = rows == .all ? xGradient : Matrix(scratch.rowsGradient, count, hidden)
    backend.residualNormBackward(
      gradient, saved: attentionNorm, norm: pass[offsets.attentionNorm], inputDropout: activations.attentionDropout,
      outputDropout: .none, residualGradient: rowsGradient.base, inputGradient: projectedGradient.base,
      gradients: pass.gradients(offsets.attentionNorm), inputBiasGradient: dense.bias)
    let contextGradient = Matrix(scratch.contextGradient, count, hidden)
    backend.projectBackward(
      projectedGradient, x: activations.attention.context, pass[offsets.attentionOutput].weight,
      xGradient: contextGradient, accumulates: false, weightGradient: dense.weight)
    attention.backward(
      block, activations.attention, contextGradient: contextGradient, xGradient: xGradient,
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
