import BERT4RecModel
import CKernels

/// The kernels of this processor with products of one's own, in the plainest way.
final class PlainProducts: KernelBackend {
  nonisolated(unsafe) let kernels = kernel_set_best()

  func multiply(
    _ a: Matrix, transposed transposesA: Bool, _ b: Matrix, transposed transposesB: Bool, into c: Matrix, scale: Float,
    accumulates: Bool
  ) {
    let inner = transposesA ? a.rows : a.columns
    for row in 0..<c.rows {
      for column in 0..<c.columns {
        var sum: Float = 0
        for index in 0..<inner {
          let left = transposesA ? a.base[index * a.stride + row] : a.base[row * a.stride + index]
          let right = transposesB ? b.base[column * b.stride + index] : b.base[index * b.stride + column]
          sum += left * right
        }
        let place = row * c.stride + column
        c.base[place] = scale * sum + (accumulates ? c.base[place] : 0)
      }
    }
  }
}

/// An encoder that computes with it.
func encoder(_ configuration: ModelConfiguration) -> BidirectionalEncoder {
  BidirectionalEncoder(configuration, backend: PlainProducts())
}
