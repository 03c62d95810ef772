/// A LayerNorm's weight and bias, (H) each.
package struct NormParameters {
  package let weight, bias: UnsafePointer<Float>

  package init(weight: UnsafePointer<Float>, bias: UnsafePointer<Float>) { (self.weight, self.bias) = (weight, bias) }
}

/// Where a backward pass adds the gradients of a LayerNorm's weight and bias.
package struct NormGradients {
  package let weight, bias: UnsafeMutablePointer<Float>

  package init(weight: UnsafeMutablePointer<Float>, bias: UnsafeMutablePointer<Float>) {
    (self.weight, self.bias) = (weight, bias)
  }
}

/// A dense layer's weight (O, I), as Hugging Face has it, and bias (O).
package struct DenseParameters {
  package let weight: Matrix
  package let bias: UnsafePointer<Float>

  package init(weight: Matrix, bias: UnsafePointer<Float>) { (self.weight, self.bias) = (weight, bias) }

  /// Those of some outputs alone.
  package func outputs(_ range: Range<Int>) -> DenseParameters {
    DenseParameters(weight: weight.rows(range), bias: bias + range.lowerBound)
  }
}

/// Where a backward pass adds the gradients of a dense layer's weight and bias.
package struct DenseGradients {
  package let weight: Matrix
  package let bias: UnsafeMutablePointer<Float>

  package init(weight: Matrix, bias: UnsafeMutablePointer<Float>) { (self.weight, self.bias) = (weight, bias) }

  package func outputs(_ range: Range<Int>) -> DenseGradients {
    DenseGradients(weight: weight.rows(range), bias: bias + range.lowerBound)
  }
}

/// What a LayerNorm keeps for its backward pass.
package struct NormState {
  package let normalized: UnsafeMutablePointer<Float>  // (R, H)
  package let inverseDeviation: UnsafeMutablePointer<Float>  // (R)

  package init(normalized: UnsafeMutablePointer<Float>, inverseDeviation: UnsafeMutablePointer<Float>) {
    self.normalized = normalized
    self.inverseDeviation = inverseDeviation
  }
}
