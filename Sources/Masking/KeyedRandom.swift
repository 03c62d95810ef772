/// What a random number is for: part of its key, so that no two uses ever share numbers.
package enum RandomPurpose: UInt32, Sendable {
  case order = 1
  case masking = 2
  case dropout = 3
  case initialization = 4
  case demonstrationData = 5
  case search = 6
  case evaluatedUsers = 7
  case negatives = 8
  case buckets = 9
}

/// Random numbers as a pure function of (seed, purpose, counters): Philox4x32-10 of Salmon et al., "Parallel random numbers: as
/// easy as 1, 2, 3" (SC 2011). Never of rank, thread or call order.
package enum KeyedRandom {
  /// A block: four words of 32 bits.
  package typealias Words = SIMD4<UInt32>

  /// One Philox block: four 32-bit words from a 128-bit counter and a 64-bit key.
  @inlinable
  package static func philox(_ counter: Words, key: SIMD2<UInt32>) -> Words {
    var x = counter
    var k = key
    for _ in 0..<10 {
      let p0 = UInt64(x[0]) &* 0xD251_1F53
      let p1 = UInt64(x[2]) &* 0xCD9E_8D57
      x = SIMD4(
        UInt32(truncatingIfNeeded: p1 >> 32) ^ x[1] ^ k[0], UInt32(truncatingIfNeeded: p1),
        UInt32(truncatingIfNeeded: p0 >> 32) ^ x[3] ^ k[1], UInt32(truncatingIfNeeded: p0))
      k[0] &+= 0x9E37_79B9
      k[1] &+= 0xBB67_AE85
    }
    return x
  }

  /// A block keyed by what it is for and up to three counters (`b` up to 2^56).
  @inlinable
  package static func block(seed: UInt64, _ purpose: RandomPurpose, _ a: UInt32, _ b: UInt64, _ c: UInt32) -> Words {
    philox(
      SIMD4(
        a, UInt32(truncatingIfNeeded: b), c, purpose.rawValue << 24 | UInt32(truncatingIfNeeded: b >> 32) & 0xFF_FFFF),
      key: SIMD2(UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32)))
  }

  /// The first 64 bits of a block.
  @inlinable
  package static func bits64(seed: UInt64, _ purpose: RandomPurpose, _ a: UInt32, _ b: UInt64, _ c: UInt32) -> UInt64 {
    let words = block(seed: seed, purpose, a, b, c)
    return UInt64(words[1]) << 32 | UInt64(words[0])
  }

  /// The finaliser of SplitMix64 (Steele et al. 2014): a bijection of 64-bit numbers that mixes well.
  @inlinable
  package static func mix(_ value: UInt64) -> UInt64 {
    var x = value
    x = (x ^ (x >> 30)) &* 0xBF58_476D_1CE4_E5B9
    x = (x ^ (x >> 27)) &* 0x94D0_49BB_1331_11EB
    return x ^ (x >> 31)
  }
}

/// The numbers of one key in order: words of the blocks (a = 0, 1, ...).
package struct KeyedStream {
  @usableFromInline let seed: UInt64
  @usableFromInline let purpose: RandomPurpose
  @usableFromInline let b: UInt64
  @usableFromInline let c: UInt32
  @usableFromInline var words = SIMD4<UInt32>()
  @usableFromInline var used: UInt32 = 0

  @inlinable
  package init(seed: UInt64, _ purpose: RandomPurpose, _ b: UInt64, _ c: UInt32) {
    self.seed = seed
    self.purpose = purpose
    self.b = b
    self.c = c
  }

  @inlinable
  package mutating func next() -> UInt32 {
    let lane = Int(used & 3)
    if lane == 0 { words = KeyedRandom.block(seed: seed, purpose, used >> 2, b, c) }
    used &+= 1
    return words[lane]
  }

  /// 0 ..< bound, each with probability 1 / bound to within 2^-32.
  @inlinable
  package mutating func next(below bound: Int) -> Int {
    Int((UInt64(next()) &* UInt64(bound)) >> 32)
  }

  /// True with the given probability, in steps of 2^-32.
  @inlinable
  package mutating func nextBool(probability: Double) -> Bool {
    Double(next()) < probability * 4_294_967_296
  }
}
