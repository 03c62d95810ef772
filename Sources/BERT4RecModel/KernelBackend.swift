import CKernels

/// What NativeBackend and OpenBLASBackend share: all but products and what is fused with them, by the kernels of one clone.
package protocol KernelBackend: Backend {
  var kernels: UnsafePointer<kernel_set> { get }
}

extension KernelBackend {
  package func addBias(_ bias: UnsafePointer<Float>, to values: Matrix) {
    kernels.pointee.add_bias(values.base, bias, values.rows, values.columns, values.stride)
  }

  package func addColumnSums(of values: Matrix, to sums: UnsafeMutablePointer<Float>) {
    kernels.pointee.add_column_sums(values.base, sums, values.rows, values.columns, values.stride)
  }

  package func activate(
    _ values: Matrix, bias: UnsafePointer<Float>, _ activation: Activation, derivative: UnsafeMutablePointer<Float>
  ) {
    kernels.pointee.bias_activation(values.base, bias, activation.kernel, derivative, values.rows, values.columns)
  }

  package func activateBackward(
    _ gradient: Matrix, derivative: UnsafePointer<Float>, biasGradient: UnsafeMutablePointer<Float>
  ) {
    kernels.pointee.activation_backward(gradient.base, derivative, biasGradient, gradient.rows, gradient.columns)
  }

  package func residualNorm(
    _ input: Matrix, inputBias: UnsafePointer<Float>?, inputDropout: RowDropout, residual: UnsafePointer<Float>?,
    norm: NormParameters, outputDropout: RowDropout, output: UnsafeMutablePointer<Float>, saved: NormState
  ) {
    kernels.pointee.residual_norm(
      input.base, inputBias, residual, norm.weight, norm.bias, ModelConfiguration.layerNormEpsilon, inputDropout.kernel,
      outputDropout.kernel, output, saved.normalized, saved.inverseDeviation, input.rows, input.columns)
  }

  package func residualNormBackward(
    _ outputGradient: Matrix, saved: NormState, norm: NormParameters, inputDropout: RowDropout, outputDropout: RowDropout,
    residualGradient: UnsafeMutablePointer<Float>, inputGradient: UnsafeMutablePointer<Float>?, gradients: NormGradients,
    inputBiasGradient: UnsafeMutablePointer<Float>?
  ) {
    kernels.pointee.residual_norm_backward(
      outputGradient.base, saved.normalized, saved.inverseDeviation, norm.weight, inputDropout.kernel, outputDropout.kernel,
      residualGradient, inputGradient, gradients.weight, gradients.bias, inputBiasGradient, outputGradient.rows,
      outputGradient.columns)
  }

  package func softmax(_ scores: Matrix, dropped: Matrix, dropout: RowDropout) {
    kernels.pointee.softmax(scores.base, dropped.base, scores.rows, scores.columns, scores.stride, dropout.kernel)
  }

  package func softmaxBackward(_ signedProbabilities: Matrix, gradient: Matrix, dropped: Matrix, rate: DropoutRate) {
    kernels.pointee.softmax_backward(
      signedProbabilities.base, gradient.base, dropped.base, gradient.rows, gradient.columns, gradient.stride, rate.scale)
  }

  package func tileExponentials(_ logits: Matrix, bias: UnsafePointer<Float>?, _ sums: SoftmaxSums) {
    kernels.pointee.tile_exponentials(logits.base, bias, logits.rows, logits.columns, logits.stride, sums.kernel)
  }

  package func softmaxFactors(
    tileMaximum: UnsafePointer<Float>, _ sums: SoftmaxSums, rows: Int, into factors: UnsafeMutablePointer<Float>
  ) { kernels.pointee.softmax_factors(tileMaximum, sums.maximum, sums.sum, factors, rows) }

  package func multiplyRows(
    _ values: Matrix, by factors: UnsafePointer<Float>, into target: UnsafeMutablePointer<Float>
  ) { kernels.pointee.multiply_rows(values.base, factors, target, values.rows, values.columns) }

  package func addWeightedColumnSums(
    of values: Matrix, weights: UnsafePointer<Float>, to sums: UnsafeMutablePointer<Float>
  ) {
    kernels.pointee.add_weighted_column_sums(values.base, weights, sums, values.rows, values.columns, values.stride)
  }

  package func subtractLabels(
    _ labels: UnsafePointer<Int32>, _ t: Matrix, words: UnsafePointer<Float>, tGradient: UnsafeMutablePointer<Float>,
    wordGradient: UnsafeMutablePointer<Float>, biasGradient: UnsafeMutablePointer<Float>
  ) { kernels.pointee.subtract_labels(labels, t.kernel, words, tGradient, wordGradient, biasGradient) }

  package func addTile(_ sums: SoftmaxSums, products: UnsafePointer<Float>?, rows: Int, hidden: Int, to total: OnlineSoftmax) {
    kernels.pointee.add_tile(sums.kernel, products, rows, hidden, total.kernel)
  }

  package func sumEmbeddings(
    _ tokens: UnsafePointer<Int32>, words: UnsafePointer<Float>, type: UnsafePointer<Float>,
    positions: UnsafePointer<Float>, into sums: Matrix
  ) { kernels.pointee.sum_embeddings(tokens, words, type, positions, sums.base, sums.rows, sums.columns) }

  package func addEmbeddingGradients(
    _ sums: Matrix, tokens: UnsafePointer<Int32>, words: UnsafeMutablePointer<Float>,
    positions: UnsafeMutablePointer<Float>
  ) { kernels.pointee.add_embedding_gradients(tokens, sums.base, words, positions, sums.rows, sums.columns) }
}

extension Matrix {
  var kernel: kernel_matrix { kernel_matrix(values: base, rows: rows, columns: columns, stride: stride) }
}

extension RowDropout {
  var kernel: kernel_dropout {
    kernel_dropout(row_keys: rowKeys, threshold: rowKeys == nil ? 0 : rate.threshold, scale: rate.scale)
  }
}

extension SoftmaxSums {
  var kernel: kernel_softmax_sums { kernel_softmax_sums(maximum: maximum, sum: sum) }
}

extension OnlineSoftmax {
  var kernel: kernel_online_softmax { kernel_online_softmax(sums: sums.kernel, row_gradients: rowGradients) }
}

extension Activation {
  fileprivate var kernel: kernel_activation {
    switch self {
    case .gelu: KERNEL_GELU
    case .relu: KERNEL_RELU
    case .tanh: KERNEL_TANH
    case .linear: KERNEL_LINEAR
    }
  }
}
