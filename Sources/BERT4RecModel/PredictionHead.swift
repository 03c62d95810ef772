/// What the tied projection reads: t = LayerNorm(f(y Wᵀ + b)), (M, H), y the encoder's output at the masked rows.
package final class PredictionHead {
  private let context: LayerContext
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

  /// What the forward pass leaves for the backward pass of the same block.
  package struct Activations {
    let input: Matrix  // y (M, H)
    package let output: Matrix  // t (M, H)
  }

  /// Takes y (M, H), which must stay until `backward`; overwrites t (M, H).
  package func forward(_ y: Matrix, _ pass: Pass) -> Activations {
    let (layout, backend) = (context.layout, context.backend)
    let transform = pass[layout.transform]
    let activated = Matrix(activated, y.rows, y.columns)
    backend.project(y, transform.weight, bias: nil, into: activated)
    backend.activate(activated, bias: transform.bias, context.configuration.activation, derivative: derivative)
    backend.residualNorm(
      activated, inputBias: nil, inputDropout: .none, residual: nil, norm: pass[layout.transformNorm],
      outputDropout: .none, output: output, saved: saved)
    return Activations(input: y, output: Matrix(output, y.rows, y.columns))
  }

  /// Takes the gradient of t (M, H), which it overwrites; overwrites yGradient (M, H) and adds the parameters' gradients.
  package func backward(_ activations: Activations, _ gradient: Matrix, yGradient: Matrix, _ pass: Pass) {
    let (layout, backend) = (context.layout, context.backend)
    let gradients = pass.gradients(layout.transform)
    backend.residualNormBackward(
      gradient, saved: saved, norm: pass[layout.transformNorm], inputDropout: .none, outputDropout: .none,
      residualGradient: gradient.base, inputGradient: nil, gradients: pass.gradients(layout.transformNorm),
      inputBiasGradient: nil)
    backend.activateBackward(gradient, derivative: derivative, biasGradient: gradients.bias)
    backend.projectBackward(
      gradient, x: activations.input, pass[layout.transform].weight, xGradient: yGradient, accumulates: false,
      weightGradient: gradients.weight)
  }
}
