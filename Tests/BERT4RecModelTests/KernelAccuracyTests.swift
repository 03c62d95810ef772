import CKernels
import Foundation
import Testing

/// The bounds that the kernels' comments promise, on dense grids, against double precision, for every clone.
@Suite struct KernelAccuracyTests {
  private func grid(_ range: ClosedRange<Float>) -> [Float] {
    (0...65_535).map { range.lowerBound + (range.upperBound - range.lowerBound) * Float($0) / 65_535 }
  }

  @Test(arguments: TestBackend.clones) func exponentialIsWithinTwoUlps(_ clone: TestBackend.Clone) {
    let x = grid(-87...0)
    let (values, maximum, sum) = (Buffer(x), Buffer(zeros: 1), Buffer(zeros: 1))
    clone.kernels.pointee.tile_exponentials(
      values.base, nil, 1, x.count, x.count, kernel_softmax_sums(maximum: maximum.base, sum: sum.base))
    let worst = zip(values.values, x).map { abs(Double($0) - exp(Double($1))) / Double(Float(exp(Double($1))).ulp) }.max() ?? 9
    #expect(worst <= 2, "\(worst) ulp")
  }

  @Test(arguments: TestBackend.clones) func geluAndTanhAreWithinTheirBounds(_ clone: TestBackend.Clone) {
    let x = grid(-12...12)
    let zeros = [Float](repeating: 0, count: x.count)
    var (values, slopes) = (x, zeros)
    clone.kernels.pointee.bias_activation(&values, zeros, KERNEL_GELU, &slopes, 1, x.count)
    // Without fused multiply-add a little more is lost.
    let bound = clone.isExact ? 2e-7 : 3e-7
    for (index, number) in x.map(Double.init).enumerated() {
      let cumulative = 0.5 * erfc(-number / 2.0.squareRoot())
      let slope = cumulative + number * exp(-number * number / 2) / (2 * Double.pi).squareRoot()
      #expect(abs(Double(values[index]) - number * cumulative) <= bound * abs(number))
      #expect(abs(Double(slopes[index]) - slope) <= bound * (1 + abs(number)))
    }
    values = x
    clone.kernels.pointee.bias_activation(&values, zeros, KERNEL_TANH, &slopes, 1, x.count)
    for (value, number) in zip(values, x) { #expect(abs(Double(value) - tanh(Double(number))) <= bound) }
  }
}
