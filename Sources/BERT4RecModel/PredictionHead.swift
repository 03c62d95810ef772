/// What the tied projection reads: t = LayerNorm(f(y Wᵀ + b)), (M, H), y the encoder's output at the masked rows.
package final class PredictionHead {
  private let context: LayerContext
  private var input = Matrix.none  // y (M, H)
  private let activated: UnsafeMutablePointer<Float>  // (M, H)
  private let derivative: UnsafeMutablePointer<Float>  // (M, H)
  private let output: UnsafeMutablePointer<Float>  // t (M, H)
  private let saved: NormState

  package init(_ context: LayerContext) {
    self.context = context
    activated = context.hiddenRows()
    derivative = context.derivative(columns: context.configuration.hiddenSize)
    output = context.hiddenRows()
    saved = context.norm()
  }

  /// Takes y (M, H), which must stay until `backward`; overwrites and returns t (M, H).
  package func forward(_ y: Matrix, _ pass: Pass) -> Matrix {
    let (layout, hidden) = (context.layout, y.columns)
    input = y
    let activated = Matrix(activated, y.rows, hidden)
    context.backend.project(y, pass.weight(layout.transformWeight, hidden, hidden), bias: nil, into: activated)
    context.backend.activate(
      activated, bias: pass.parameters + layout.transformBias, context.configuration.activation, derivative: derivative)
    context.backend.residualNorm(
      activated, inputBias: nil, inputDropout: .none, residual: nil,
      weight: pass.parameters + layout.transformNormWeight, bias: pass.parameters + layout.transformNormBias,
      outputDropout: .none, output: output, saved: saved)
    return Matrix(output, y.rows, hidden)
  }

  /// Takes the gradient of t (M, H), which it overwrites; overwrites yGradient (M, H) and adds the parameters' gradients.
  package func backward(_ gradient: Matrix, yGradient: Matrix, _ pass: Pass) {
    let (layout, hidden) = (context.layout, gradient.columns)
    context.backend.residualNormBackward(
      gradient, saved: saved, weight: pass.parameters + layout.transformNormWeight, inputDropout: .none,
      outputDropout: .none, residualGradient: gradient.base, inputGradient: nil,
      weightGradient: pass.gradient(layout.transformNormWeight), biasGradient: pass.gradient(layout.transformNormBias),
      inputBiasGradient: nil)
    context.backend.activateBackward(
      gradient, derivative: derivative, biasGradient: pass.gradient(layout.transformBias))
    context.backend.projectBackward(
      gradient, x: input, pass.weight(layout.transformWeight, hidden, hidden), xGradient: yGradient, accumulates: false,
      weightGradient: pass.gradient(layout.transformWeight))
  }
}
