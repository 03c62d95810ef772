/// The draws of NumPy's legacy `numpy.random.RandomState(seed)`, bit for bit, so that an evaluation's negatives can
/// be had again in Python. Golden values: Tests/Reference/numpy_draws.py. Weighted draws: `WeightedChoice`.
package struct NumPyRandomState: Sendable {
  private var generator: MersenneTwister

  package init(seed: UInt32) { generator = MersenneTwister(seed: seed) }

  /// The generator's next 32 bits.
  package mutating func nextWord() -> UInt32 { generator.next() }

  /// `random_sample()`: a multiple of 2^-53 in [0, 1), made of 27 and 26 bits.
  package mutating func randomSample() -> Double {
    let high = Double(generator.next() >> 5)
    let low = Double(generator.next() >> 6)
    return (high * 67_108_864 + low) / 9_007_199_254_740_992
  }

  /// `randint(low, high)` for NumPy's default 64-bit integers: uniform in `low ..< high`, by masked rejection.
  ///
  /// A range below 2^32 takes whole 32-bit draws and keeps none of their bits for the next call; a wider one takes
  /// two draws a try, the high half first; a single possible value takes none.
  package mutating func randomInteger(from low: Int, to high: Int) -> Int {
    precondition(low < high)
    let width = UInt64(bitPattern: Int64(high - 1)) &- UInt64(bitPattern: Int64(low))
    if width == 0 { return low }
    let mask = UInt64.max >> UInt64(width.leadingZeroBitCount)
    var value: UInt64
    repeat {
      value = UInt64(generator.next())
      if width > 0xffff_ffff { value = value << 32 | UInt64(generator.next()) }
      value &= mask
    } while value > width
    return Int(Int64(bitPattern: UInt64(bitPattern: Int64(low)) &+ value))
  }
}
