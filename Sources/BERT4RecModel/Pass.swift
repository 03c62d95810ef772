/// What a pass works with: parameters, where gradients are added, and the dropout key (nil: no dropout).
package struct Pass {
  package let parameters: UnsafePointer<Float>
  /// Flat, as the parameters, or with `rows` or `tokenRows` what stands beside the table alone; nil in a forward pass alone.
  package let gradients: UnsafeMutablePointer<Float>?
  /// Gradients of those rows of the table, and their biases, that are touched; nil where the whole table's are in `gradients`.
  package let rows: RowGradients?
  /// Receives the gradients of the tokens' rows of the table (T, H) instead, one after the other; no others of the table are added.
  package let tokenRows: UnsafeMutablePointer<Float>?
  /// The parameter whose gradient stands first in `gradients`.
  private let origin: Int
  package let dropout: DropoutKey?
  /// Of the losses that draw.
  package let negatives: NegativeKey?

  package init(
    parameters: UnsafePointer<Float>, gradients: UnsafeMutablePointer<Float>?, dropout: DropoutKey?, negatives: NegativeKey? = nil,
    rows: RowGradients? = nil, tokenRows: UnsafeMutablePointer<Float>? = nil, layout: ParameterLayout? = nil
  ) {
    let hasTable = rows == nil && tokenRows == nil
    precondition(hasTable || layout != nil)
    self.rows = rows
    self.tokenRows = tokenRows
    origin = hasTable ? 0 : layout?.besidesTable.lowerBound ?? 0
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
    guard let gradients, offset >= origin else { preconditionFailure("a backward pass needs gradients") }
    return gradients + (offset - origin)
  }

  package func gradients(_ norm: ParameterLayout.Norm) -> NormGradients {
    NormGradients(weight: gradient(norm.weight), bias: gradient(norm.bias))
  }

  package func gradients(_ dense: ParameterLayout.Dense) -> DenseGradients {
    DenseGradients(weight: Matrix(gradient(dense.weight), dense.outputs, dense.inputs), bias: gradient(dense.bias))
  }
}
