import CKernels
import SystemSupport

/// Our own products, made for this model's long and thin shapes, and what is fused with them: attention, and the loss's sweep over the
/// vocabulary. The same bits on every processor with fused multiply-add.
///
/// An instance has scratch memory, so each thread has its own.
package final class NativeBackend: KernelBackend, @unchecked Sendable {
  package let kernels: UnsafePointer<kernel_set>
  private let productScratch: AlignedBuffer<Float>
  private var attentionScratch = GrowingScratch()
  private var tileScratch = GrowingScratch()

  /// - Parameter kernels: nil for the fastest clone that this processor can run.
  package init(kernels: UnsafePointer<kernel_set>? = nil) {
    self.kernels = kernels ?? kernel_set_best()
    productScratch = .orEnd(count: self.kernels.pointee.product_scratch, for: "a thread's scratch memory")
  }

  /// Bytes of what every product needs, whatever its sizes.
  package static var productScratchBytes: Int { kernel_set_best().pointee.product_scratch * MemoryLayout<Float>.stride }

  /// What one comes to have at most, in bytes.
  package static func scratchBytes(_ configuration: ModelConfiguration, longestInstance: Int? = nil) -> Int {
    let kernels = kernel_set_best().pointee
    let longest = min(longestInstance ?? .max, configuration.maximumSequenceLength)
    let tileRows = min(MaskedItemLoss.tileWidth, configuration.vocabularySize)
    let counts = [
      kernels.product_scratch, kernels.attention_scratch(longest, configuration.headSize),
      kernels.vocabulary_tile_scratch(tileRows, configuration.hiddenSize),
    ]
    return counts.reduce(0, +) * MemoryLayout<Float>.stride
  }

  /// What it has by now.
  package var scratchBytes: Int {
    productScratch.byteCount + attentionScratch.byteCount + tileScratch.byteCount
  }

  package func multiply(
    _ a: Matrix, transposed transposesA: Bool, _ b: Matrix, transposed transposesB: Bool, into c: Matrix, scale: Float,
    accumulates: Bool
  ) {
    precondition((transposesA ? a.rows : a.columns) > 0, "a product over nothing")
    kernels.pointee.product(
      a.kernel, transposesA ? 1 : 0, b.kernel, transposesB ? 1 : 0, c.kernel, nil, scale, accumulates ? 1 : 0,
      productScratch.base)
  }

  package func project(_ x: Matrix, _ weight: Matrix, bias: UnsafePointer<Float>?, into y: Matrix) {
    kernels.pointee.product(x.kernel, 0, weight.kernel, 1, y.kernel, bias, 1, 0, productScratch.base)
  }

  package func attend(
    _ head: AttentionHead, probabilities: Matrix, context: Matrix, dropout: RowDropout, scratch: Matrix
  ) {
    kernels.pointee.attention(
      head.query.kernel, head.key.kernel, head.value.kernel, probabilities.kernel, context.kernel, head.scale,
      dropout.kernel, memory(for: head))
  }

  package func attendBackward(
    _ head: AttentionHead, probabilities: Matrix, contextGradient: Matrix, rate: DropoutRate,
    gradients: AttentionHead, scratch: (Matrix, Matrix)
  ) {
    kernels.pointee.attention_backward(
      contextGradient.kernel, head.query.kernel, head.key.kernel, head.value.kernel, probabilities.kernel,
      gradients.query.kernel, gradients.key.kernel, gradients.value.kernel, head.scale, rate.scale, memory(for: head))
  }

  private func memory(for head: AttentionHead) -> UnsafeMutablePointer<Float> {
    attentionScratch.memory(kernels.pointee.attention_scratch(head.key.rows, head.key.columns))
  }

  package func vocabularyTile(
    _ t: Matrix, _ tile: VocabularyTile, labels: UnsafePointer<Int32>, into result: TileResult, addingTo total: OnlineSoftmax?
  ) {
    func run(_ total: UnsafePointer<kernel_online_softmax>?) {
      kernels.pointee.vocabulary_tile(
        t.kernel, tile.table.kernel, tile.bias, labels, tile.vocabulary.lowerBound, result.exponentials.base,
        result.exponentials.streams ? 1 : 0, result.sums.kernel, result.labelLogits, result.products, total, memory(for: tile))
    }
    if let total { withUnsafePointer(to: total.kernel, run) } else { run(nil) }
  }

  private func memory(for tile: VocabularyTile) -> UnsafeMutablePointer<Float> {
    tileScratch.memory(kernels.pointee.vocabulary_tile_scratch(tile.table.rows, tile.table.columns))
  }

  package func vocabularyTileBackward(
    _ exponentials: ExponentialTile, _ t: Matrix, factors: UnsafePointer<Float>, scratch: Matrix, tableGradient: Matrix,
    biasGradient: UnsafeMutablePointer<Float>, accumulates: Bool
  ) {
    kernels.pointee.vocabulary_tile_backward(
      exponentials.base, factors, t.kernel, tableGradient.kernel, biasGradient, accumulates ? 1 : 0, productScratch.base)
  }
}

/// Memory that grows to the largest size asked for and is then kept.
private struct GrowingScratch: ~Copyable {
  private var buffer: AlignedBuffer<Float>?
  private var base: UnsafeMutablePointer<Float>?
  private var count = 0

  var byteCount: Int { count * MemoryLayout<Float>.stride }

  mutating func memory(_ wanted: Int) -> UnsafeMutablePointer<Float> {
    if let base, wanted <= count { return base }
    // The old one first: the two together may not fit.
    buffer = nil
    let larger = AlignedBuffer<Float>.orEnd(count: wanted, for: "a thread's scratch memory")
    let start = larger.base
    (base, count) = (start, wanted)
    buffer = consume larger
    return start
  }
}
