import CKernels
import COpenBLAS

/// The fast backend: CKernels for everything but products, and for products whichever of OpenBLAS and our own kernel is faster.
///
/// On CPUs with AVX2 that is our own, made for this model's long and thin shapes (README, "Benchmarks"); with AVX-512 or without AVX2
/// it is OpenBLAS. An instance has scratch memory, so each thread has its own; BLAS itself stays at one thread, since ranks and
/// our own threads use the cores.
package final class OpenBLASBackend: Backend, @unchecked Sendable {
  /// Widest product that our own kernel takes with a transposed left operand, all of whose right operand it packs.
  private static let widestProduct = 4096

  private let scratch: UnsafeMutablePointer<Float>?
  private var attentionMemory: UnsafeMutablePointer<Float>?
  private var attentionCapacity = 0

  package init() {
    openblas_set_num_threads(1)
    scratch =
      String(cString: kernel_clone()) == "x86-64-v3"
      ? .allocate(capacity: kernel_product_scratch(0, Self.widestProduct)) : nil
  }

  deinit {
    scratch?.deallocate()
    attentionMemory?.deallocate()
  }

  /// OpenBLAS's name for the CPU, such as "Zen": it decides which kernels, hence which bits.
  package static var coreType: String { String(cString: openblas_get_corename()) }

  package func multiply(
    _ a: Matrix, transposed transposesA: Bool, _ b: Matrix, transposed transposesB: Bool, into c: Matrix, scale: Float,
    accumulates: Bool
  ) {
    let inner = transposesA ? a.rows : a.columns
    if c.rows == 0 || c.columns == 0 || (inner == 0 && accumulates) { return }
    if let scratch, inner > 0, !transposesA || c.columns <= Self.widestProduct {
      kernel_product(
        a.kernel, transposesA ? 1 : 0, b.kernel, transposesB ? 1 : 0, c.kernel, scale, accumulates ? 1 : 0, scratch)
      return
    }
    cblas_sgemm(
      CblasRowMajor, transposesA ? CblasTrans : CblasNoTrans, transposesB ? CblasTrans : CblasNoTrans,
      Int32(c.rows), Int32(c.columns), Int32(inner), scale, a.base, Int32(a.stride), b.base, Int32(b.stride),
      accumulates ? 1 : 0, c.base, Int32(c.stride))
  }

  package func addBias(_ bias: UnsafePointer<Float>, to values: Matrix) {
    kernel_add_bias(values.base, bias, values.rows, values.columns, values.stride)
  }

  package func addColumnSums(of values: Matrix, to sums: UnsafeMutablePointer<Float>) {
    kernel_add_column_sums(values.base, sums, values.rows, values.columns, values.stride)
  }

  package func activate(
    _ values: Matrix, bias: UnsafePointer<Float>, _ activation: Activation, derivative: UnsafeMutablePointer<Float>
  ) {
    kernel_bias_activation(values.base, bias, activation.kernel, derivative, values.rows, values.columns)
  }

  package func activateBackward(
    _ gradient: Matrix, derivative: UnsafePointer<Float>, biasGradient: UnsafeMutablePointer<Float>
  ) {
    kernel_activation_backward(gradient.base, derivative, biasGradient, gradient.rows, gradient.columns)
  }

  package func residualNorm(
    _ input: Matrix, inputBias: UnsafePointer<Float>?, inputDropout: RowDropout, residual: UnsafePointer<Float>?,
    weight: UnsafePointer<Float>, bias: UnsafePointer<Float>, outputDropout: RowDropout,
    output: UnsafeMutablePointer<Float>, saved: NormState
  ) {
    kernel_residual_norm(
      input.base, inputBias, residual, weight, bias, ModelConfiguration.layerNormEpsilon, inputDropout.kernel,
      outputDropout.kernel, output, saved.normalized, saved.inverseDeviation, input.rows, input.columns)
  }

  package func residualNormBackward(
    _ outputGradient: Matrix, saved: NormState, weight: UnsafePointer<Float>, inputDropout: RowDropout,
    outputDropout: RowDropout, residualGradient: UnsafeMutablePointer<Float>,
    inputGradient: UnsafeMutablePointer<Float>?, weightGradient: UnsafeMutablePointer<Float>,
    biasGradient: UnsafeMutablePointer<Float>, inputBiasGradient: UnsafeMutablePointer<Float>?
  ) {
    kernel_residual_norm_backward(
      outputGradient.base, saved.normalized, saved.inverseDeviation, weight, inputDropout.kernel, outputDropout.kernel,
      residualGradient, inputGradient, weightGradient, biasGradient, inputBiasGradient, outputGradient.rows,
      outputGradient.columns)
  }

  package func attend(
    _ head: AttentionHead, probabilities: Matrix, context: Matrix, dropout: RowDropout, scratch: Matrix
  ) {
    guard let memory = attentionScratch(head) else {
      attendByProducts(head, probabilities: probabilities, context: context, dropout: dropout, scratch: scratch)
      return
    }
    kernel_attention(
      head.query.kernel, head.key.kernel, head.value.kernel, probabilities.kernel, context.kernel, head.scale,
      dropout.kernel, memory)
  }

  package func attendBackward(
    _ head: AttentionHead, probabilities: Matrix, contextGradient: Matrix, rate: DropoutRate,
    gradients: AttentionHead, scratch: (Matrix, Matrix)
  ) {
    guard let memory = attentionScratch(head) else {
      attendBackwardByProducts(
        head, probabilities: probabilities, contextGradient: contextGradient, rate: rate, gradients: gradients,
        scratch: scratch)
      return
    }
    kernel_attention_backward(
      contextGradient.kernel, head.key.kernel, head.value.kernel, probabilities.kernel, gradients.query.kernel,
      scratch.0.base, scratch.1.base, head.scale, rate.scale, memory)
    attentionProducts(head, contextGradient, scratch.0, scratch.1, gradients)
  }

  /// Memory for the fused kernels, which take over where our own products do; grows to the longest instance seen.
  private func attentionScratch(_ head: AttentionHead) -> UnsafeMutablePointer<Float>? {
    if scratch == nil { return nil }
    let needed = kernel_attention_scratch(head.key.rows, head.key.columns)
    if needed > attentionCapacity {
      attentionMemory?.deallocate()
      attentionMemory = .allocate(capacity: needed)
      attentionCapacity = needed
    }
    return attentionMemory
  }

  package func softmax(_ scores: Matrix, dropped: Matrix, dropout: RowDropout) {
    kernel_softmax(scores.base, dropped.base, scores.rows, scores.columns, scores.stride, dropout.kernel)
  }

  package func softmaxBackward(_ signedProbabilities: Matrix, gradient: Matrix, dropped: Matrix, rate: DropoutRate) {
    kernel_softmax_backward(
      signedProbabilities.base, gradient.base, dropped.base, gradient.rows, gradient.columns, gradient.stride, rate.scale)
  }

  package func tileExponentials(
    _ logits: Matrix, bias: UnsafePointer<Float>, rowMaximum: UnsafeMutablePointer<Float>,
    rowSum: UnsafeMutablePointer<Float>, tileMaximum: UnsafeMutablePointer<Float>,
    rescale: UnsafeMutablePointer<Float>
  ) {
    kernel_tile_exponentials(
      logits.base, bias, logits.rows, logits.columns, logits.stride, rowMaximum, rowSum, tileMaximum, rescale)
  }

  package func multiplyRows(
    _ values: Matrix, by factors: UnsafePointer<Float>, into target: UnsafeMutablePointer<Float>
  ) {
    kernel_multiply_rows(values.base, factors, target, values.rows, values.columns)
  }

  package func addWeightedColumnSums(
    of values: Matrix, weights: UnsafePointer<Float>, to sums: UnsafeMutablePointer<Float>
  ) {
    kernel_add_weighted_column_sums(values.base, weights, sums, values.rows, values.columns, values.stride)
  }
}

extension Matrix {
  fileprivate var kernel: kernel_matrix { kernel_matrix(values: base, rows: rows, columns: columns, stride: stride) }
}

extension RowDropout {
  fileprivate var kernel: kernel_dropout {
    kernel_dropout(row_keys: rowKeys, threshold: rowKeys == nil ? 0 : rate.threshold, scale: rate.scale)
  }
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
