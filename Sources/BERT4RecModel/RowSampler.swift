import Masking
import SystemSupport

/// Draws rows of the table as negatives, each draw in constant time, and knows how often each is drawn.
///
/// All rows of the softmax can be drawn, the special ones too: the full loss has them all in its denominator. `uniform` takes the
/// beginning of a keyed permutation, so no row comes twice and as many draws as rows are all of them. `popularity` has an alias table
/// (Walker 1977, as built by Vose 1991).
package final class RowSampler: Sendable {
  package let vocabularySize: Int
  private let table: AliasTable?

  private struct AliasTable: Sendable {
    /// Of column i, the row that stands there with probability (threshold + 1) / 2^32, and the one otherwise.
    var thresholds: [UInt32]
    var aliases: [Int32]
    /// ln q.
    var logarithms: [Float]
  }

  /// - Parameter counts: occurrences of item i in training at i - 1.
  package init(_ sampling: NegativeSampling, exponent: Double, counts: [Int64], vocabularySize: Int) {
    precondition(vocabularySize > counts.count)
    self.vocabularySize = vocabularySize
    guard sampling == .popularity else {
      table = nil
      return
    }
    // One more of each, so that what training never saw is pushed down as well.
    var weights = [Double](repeating: 1, count: vocabularySize)
    for (index, count) in counts.enumerated() {
      weights[index + 1] = PortableMath.exp(exponent * PortableMath.log(Double(count + 1)))
    }
    table = Self.makeTable(weights)
  }

  package convenience init(_ loss: LossConfiguration, counts: [Int64], vocabularySize: Int) {
    self.init(loss.sampling, exponent: loss.exponent, counts: counts, vocabularySize: vocabularySize)
  }

  /// Bytes that it keeps.
  package static func byteCount(_ loss: LossConfiguration, vocabularySize: Int) -> Int {
    loss.drawsByPopularity ? vocabularySize * 12 : 0
  }

  private static func makeTable(_ weights: [Double]) -> AliasTable {
    let (count, total) = (weights.count, weights.reduce(0, +))
    var scaled = weights.map { $0 / total * Double(count) }
    var table = AliasTable(
      thresholds: [UInt32](repeating: .max, count: count), aliases: (0..<count).map { Int32($0) },
      logarithms: weights.map { Float(PortableMath.log($0 / total)) })
    var small = (0..<count).filter { scaled[$0] < 1 }
    var large = (0..<count).filter { scaled[$0] >= 1 }
    while let column = small.popLast(), let donor = large.last {
      table.thresholds[column] = UInt32(min(scaled[column] * 4_294_967_296, 4_294_967_295))
      table.aliases[column] = Int32(donor)
      scaled[donor] -= 1 - scaled[column]
      if scaled[donor] < 1 {
        large.removeLast()
        small.append(donor)
      }
    }
    return table
  }

  /// Fills `rows` (k) for a key that no other set of draws has.
  package func draw(_ key: UInt64, into rows: UnsafeMutablePointer<Int32>, count: Int) {
    guard let table else {
      let permutation = KeyedPermutation(count: vocabularySize, seed: key, .negatives)
      for index in 0..<count { rows[index] = Int32(permutation[index]) }
      return
    }
    for index in 0..<count {
      let words = KeyedRandom.block(seed: key, .negatives, UInt32(index), 1, 0)
      let column = Int((UInt64(words[0]) &* UInt64(vocabularySize)) >> 32)
      rows[index] = words[1] < table.thresholds[column] || table.thresholds[column] == .max ? Int32(column) : table.aliases[column]
    }
  }

  /// corrections (k) = -ln of how often each of `rows` (k) is expected among k draws.
  package func corrections(of rows: UnsafePointer<Int32>, count: Int, into corrections: UnsafeMutablePointer<Float>) {
    guard let table else {
      corrections.update(repeating: Float(PortableMath.log(Double(vocabularySize) / Double(count))), count: count)
      return
    }
    let logCount = Float(PortableMath.log(Double(count)))
    for index in 0..<count { corrections[index] = -(table.logarithms[Int(rows[index])] + logCount) }
  }
}

extension LossConfiguration {
  package var drawsByPopularity: Bool { kind == .sampled && sampling == .popularity }
}
