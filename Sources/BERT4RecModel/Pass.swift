/// What a pass works with: parameters, where gradients are added, and the dropout key (nil: no dropout).
package struct Pass {
  package let parameters: UnsafePointer<Float>
  /// Flat, as the parameters; nil in a forward pass alone.
  package let gradients: UnsafeMutablePointer<Float>?
  package let dropout: DropoutKey?
  /// Of the losses that draw.
  package let negatives: NegativeKey?

  package init(
    parameters: UnsafePointer<Float>, gradients: UnsafeMutablePointer<Float>?, dropout: DropoutKey?, negatives: NegativeKey? = nil
  ) {
    self.negatives = negatives
    self.parameters = parameters
    self.gradients = gradients
    self.dropout = dropout
  }

  package subscript(norm: ParameterLayout.Norm) -> NormParameters {
    NormParameters(weight: parameters + norm.weight, bias: parameters + norm.bias)
  }

  package subscript(dense: ParameterLayout.Dense) -> DenseParameters {
    DenseParameters(
      weight: Matrix(parameters + dense.weight, dense.outputs, dense.inputs), bias: parameters + dense.bias)
  }

  /// Where a backward pass adds the gradient of the parameter at `offset`.
  package func gradient(_ offset: Int) -> UnsafeMutablePointer<Float> {
    guard let gradients else { preconditionFailure("a backward pass needs gradients") }
    return gradients + offset
  }

  package func gradients(_ norm: ParameterLayout.Norm) -> NormGradients {
    NormGradients(weight: gradient(norm.weight), bias: gradient(norm.bias))
  }

  package func gradients(_ dense: ParameterLayout.Dense) -> DenseGradients {
    DenseGradients(weight: Matrix(gradient(dense.weight), dense.outputs, dense.inputs), bias: gradient(dense.bias))
  }
}
