import SystemSupport

/// One instance's scores of all V tokens, and what an evaluation asks of them. Loops are written so that they become
/// vector code; nothing depends on the machine's vector width.
package struct ScoreRow {
  private let scores: UnsafeBufferPointer<Float>  // (V)

  package init(_ scores: UnsafeBufferPointer<Float>) { self.scores = scores }

  package subscript(token: Int) -> Float { scores[token] }

  package var isFinite: Bool {
    var worst: UInt32 = 0
    for score in scores { worst = max(worst, score.bitPattern & 0x7fff_ffff) }
    return worst < 0x7f80_0000
  }

  /// The largest score. All must be finite.
  package var maximum: Float {
    var lanes = SIMD8<Float>(repeating: -.infinity)
    let bytes = UnsafeRawBufferPointer(scores)
    let whole = scores.count / 8 * 8
    for start in stride(from: 0, to: whole, by: 8) {
      let values = bytes.loadUnaligned(fromByteOffset: start * 4, as: SIMD8<Float>.self)
      lanes.replace(with: values, where: values .> lanes)
    }
    return max(lanes.max(), scores[whole...].max() ?? -.infinity)
  }

  /// How many of the tokens in `range` score above and like `score`.
  package func count(above score: Float, in range: Range<Int>) -> (greater: Int, equal: Int) {
    precondition(range.lowerBound >= 0 && range.upperBound <= scores.count)
    let bytes = UnsafeRawBufferPointer(scores)
    let (zero, one) = (SIMD8<Int32>(repeating: 0), SIMD8<Int32>(repeating: 1))
    var (greaterLanes, equalLanes) = (zero, zero)
    let whole = range.lowerBound + range.count / 8 * 8
    for place in stride(from: range.lowerBound, to: whole, by: 8) {
      let values = bytes.loadUnaligned(fromByteOffset: place * 4, as: SIMD8<Float>.self)
      greaterLanes &+= zero.replacing(with: one, where: values .> score)
      equalLanes &+= zero.replacing(with: one, where: values .== score)
    }
    var (greater, equal) = (Int(greaterLanes.wrappedSum()), Int(equalLanes.wrappedSum()))
    for value in scores[whole..<range.upperBound] {
      if value > score { greater += 1 }
      if value == score { equal += 1 }
    }
    return (greater, equal)
  }

  /// log(sum over all tokens of exp(score)), given the largest score.
  package func logSumExp(maximum: Float) -> Double {
    let bytes = UnsafeRawBufferPointer(scores)
    let whole = scores.count / 8 * 8
    var total = 0.0
    var start = 0
    while start < whole {
      // Few enough single-precision additions a lane for their rounding not to matter.
      let end = min(start + 256, whole)
      var lanes = SIMD8<Float>(repeating: 0)
      for place in stride(from: start, to: end, by: 8) {
        lanes += Self.exp(bytes.loadUnaligned(fromByteOffset: place * 4, as: SIMD8<Float>.self) - maximum)
      }
      for lane in 0..<8 { total += Double(lanes[lane]) }
      start = end
    }
    if whole < scores.count {
      var rest = SIMD8<Float>(repeating: 0)
      for place in whole..<scores.count { rest[place - whole] = scores[place] - maximum }
      let values = Self.exp(rest)
      for lane in 0..<(scores.count - whole) { total += Double(values[lane]) }
    }
    return Double(maximum) + PortableMath.log(total)
  }

  /// exp of numbers <= 0, below -87 as -87: range reduction and polynomial of Cephes' `expf` (relative error below
  /// 2e-7).
  @inline(__always)
  package static func exp(_ numbers: SIMD8<Float>) -> SIMD8<Float> {
    typealias Lanes = SIMD8<Float>
    let floor = Lanes(repeating: -87)
    let x = numbers.replacing(with: floor, where: numbers .< floor)
    // Adding 1.5 * 2^23 rounds to a whole number, which then stands in the low bits.
    let magic = Lanes(repeating: 12_582_912)
    let shifted = x * 1.442_695_04 + magic
    let whole = shifted - magic
    let r = x - whole * 0.693_359_375 - whole * -2.121_944_4e-4
    var p = r * 1.987_569_15e-4 + 1.398_199_950_7e-3
    p = p * r + 8.333_451_907_3e-3
    p = p * r + 4.166_579_589_4e-2
    p = p * r + 0.166_666_654_59
    p = p * r + 0.500_000_012_01
    let fraction = p * r * r + r + 1
    let exponent = (unsafeBitCast(shifted, to: SIMD8<UInt32>.self) &+ 127) &<< 23
    return fraction * unsafeBitCast(exponent, to: Lanes.self)
  }
}
