import CKernels
import Foundation
import Testing

/// The bounds that the kernels' comments promise, on dense grids, against double precision.
@Suite struct KernelAccuracyTests {
  private func grid(_ range: ClosedRange<Float>) -> [Float] {
    (0...65_535).map { range.lowerBound + (range.upperBound - range.lowerBound) * Float($0) / 65_535 }
  }

  @Test func exponentialIsWithinTwoUlps() {
    let x = grid(-87...0)
    var (values, maximum, sum, shift, rescale) = (x, [Float(0)], [Float(0)], [Float(0)], [Float(0)])
    kernel_tile_exponentials(
      &values, [Float](repeating: 0, count: x.count), 1, x.count, x.count, &maximum, &sum, &shift, &rescale)
    let worst = zip(values, x).map { abs(Double($0) - exp(Double($1))) / Double(Float(exp(Double($1))).ulp) }.max() ?? 9
    #expect(worst <= 2, "\(worst) ulp")
  }

  @Test func geluAndTanhAreWithinTheirBounds() {
    let x = grid(-12...12)
    let zeros = [Float](repeating: 0, count: x.count)
    var (values, slopes) = (x, zeros)
    kernel_bias_activation(&values, zeros, KERNEL_GELU, &slopes, 1, x.count)
    for (index, number) in x.map(Double.init).enumerated() {
      let cumulative = 0.5 * erfc(-number / 2.0.squareRoot())
      let slope = cumulative + number * exp(-number * number / 2) / (2 * Double.pi).squareRoot()
      #expect(abs(Double(values[index]) - number * cumulative) <= 2e-7 * abs(number))
      #expect(abs(Double(slopes[index]) - slope) <= 2e-7 * (1 + abs(number)))
    }
    values = x
    kernel_bias_activation(&values, zeros, KERNEL_TANH, &slopes, 1, x.count)
    for (value, number) in zip(values, x) { #expect(abs(Double(value) - tanh(Double(number))) <= 2e-7) }
  }

  /// Every rank updates its own replica, so every CPU must give the same bits; also where the count is no multiple of 16.
  @Test(arguments: [1, 16, 37, 4099]) func theOptimizersClonesGiveTheSameBits(_ count: Int) {
    var numbers = TestNumbers(21)
    let settings = kernel_adam(
      learning_rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-6, weight_decay: 0.01, gradient_scale: 0.37)
    let gradients = numbers.array(count)
    let start = (numbers.array(count), numbers.array(count), numbers.array(count).map(abs))
    var (fast, plain) = (start, start)
    kernel_adam_update(settings, &fast.0, gradients, &fast.1, &fast.2, count)
    kernel_adam_update_baseline(settings, &plain.0, gradients, &plain.1, &plain.2, count)
    #expect(fast.0 == plain.0 && fast.1 == plain.1 && fast.2 == plain.2)
    #expect(fast.0 != start.0)
    #expect(kernel_sum_of_squares(gradients, count) == kernel_sum_of_squares_baseline(gradients, count))
  }
}
