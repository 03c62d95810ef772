/// A permutation of 0 ..< count that gives any element in constant time and memory: a Feistel network over the next power of
/// four, walked along its cycles back into the range (Black & Rogaway 2002). Nobody shuffles or stores an order, and any rank
/// finds its instances by itself.
package struct KeyedPermutation: Sendable {
  package let count: Int
  private let halfBits: UInt64
  private let keys: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64)

  /// `round` counts the epochs: each has an order of its own.
  package init(count: Int, seed: UInt64, _ purpose: RandomPurpose = .order, round: Int = 0) {
    precondition(count > 0)
    self.count = count
    var bits: UInt64 = 1
    while 1 << (2 * bits) < count { bits += 1 }
    halfBits = bits
    let epoch = UInt64(round)
    func key(_ index: UInt32) -> UInt64 { KeyedRandom.bits64(seed: seed, purpose, index, epoch, 0) }
    keys = (key(0), key(1), key(2), key(3), key(4), key(5), key(6), key(7))
  }

  /// Where the permutation takes `index`.
  package subscript(index: Int) -> Int {
    precondition(index >= 0 && index < count)
    var value = UInt64(index)
    repeat { value = encrypt(value) } while value >= UInt64(count)
    return Int(value)
  }

  private func encrypt(_ value: UInt64) -> UInt64 {
    let mask = (UInt64(1) << halfBits) - 1
    var left = value >> halfBits
    var right = value & mask
    func round(_ key: UInt64) {
      let mixed = KeyedRandom.mix(right ^ key) & mask
      (left, right) = (right, left ^ mixed)
    }
    round(keys.0)
    round(keys.1)
    round(keys.2)
    round(keys.3)
    round(keys.4)
    round(keys.5)
    round(keys.6)
    round(keys.7)
    return left << halfBits | right
  }
}
