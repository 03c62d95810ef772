/// MT19937 (Matsumoto & Nishimura 1998), seeded by `init_genrand`, as NumPy's `RandomState(seed)` seeds it.
package struct MersenneTwister: Sendable {
  private static let size = 624
  private static let shift = 397

  private var state: [UInt32]
  private var place: Int

  package init(seed: UInt32) {
    var words = [UInt32](repeating: seed, count: Self.size)
    for index in 1..<Self.size {
      let previous = words[index - 1]
      words[index] = 1_812_433_253 &* (previous ^ (previous >> 30)) &+ UInt32(index)
    }
    state = words
    place = Self.size
  }

  /// The next 32 bits.
  package mutating func next() -> UInt32 {
    if place == Self.size { regenerate() }
    var word = state[place]
    place += 1
    word ^= word >> 11
    word ^= (word << 7) & 0x9d2c_5680
    word ^= (word << 15) & 0xefc6_0000
    return word ^ (word >> 18)
  }

  private mutating func regenerate() {
    state.withUnsafeMutableBufferPointer { words in
      for index in 0..<Self.size {
        let following = index + 1 == Self.size ? 0 : index + 1
        let distant = index + Self.shift < Self.size ? index + Self.shift : index + Self.shift - Self.size
        let mixed = (words[index] & 0x8000_0000) | (words[following] & 0x7fff_ffff)
        words[index] = words[distant] ^ (mixed >> 1) ^ (mixed & 1 == 0 ? 0 : 0x9908_b0df)
      }
    }
    place = 0
  }
}
