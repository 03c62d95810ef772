import Masking

/// What all dropout decisions of a step depend on.
package struct DropoutKey: Sendable, Equatable {
  package let seed: UInt64
  package let step: Int

  package init(seed: UInt64, step: Int) {
    self.seed = seed
    self.step = step
  }
}

/// Where the model drops: a layer's sites are told apart by their number, attention's heads too.
package enum DropoutSite {
  case embeddings
  case attentionOutput(layer: Int)
  case feedForwardOutput(layer: Int)
  case attentionProbabilities(layer: Int, head: Int)

  var number: UInt32 {
    switch self {
    case .embeddings: 0
    case .attentionOutput(let layer): UInt32(layer + 1) << 16 | 0
    case .feedForwardOutput(let layer): UInt32(layer + 1) << 16 | 1
    case .attentionProbabilities(let layer, let head): UInt32(layer + 1) << 16 | UInt32(2 + head)
    }
  }
}

extension DropoutKey {
  /// The key of one site in one instance; `place` is the instance's place in the global batch.
  package func site(_ site: DropoutSite, place: Int32) -> UInt64 {
    KeyedRandom.bits64(
      seed: seed, .dropout, site.number, UInt64(truncatingIfNeeded: step), UInt32(bitPattern: place))
  }

  /// The key of a token's row at a site. Positions are the real token's, so leaving rows out changes no other row's decisions.
  package static func row(site: UInt64, position: Int) -> UInt64 {
    KeyedRandom.mix(site &+ UInt64(truncatingIfNeeded: position &+ 1) &* 0x9E37_79B9_7F4A_7C15)
  }
}

/// The 16-bit number of a row's element: the plain twin of `random_halves` in vector.h.
package enum DropoutBits {
  package static func value(rowKey: UInt64, element: Int) -> UInt32 {
    let word = UInt32((element >> 4) * 8 + (element & 7))
    var x = word &* 0x9E37_79B9 &+ UInt32(truncatingIfNeeded: rowKey)
    x ^= x >> 16
    x = x &* 0x7feb_352d
    x ^= x >> 15
    x = x &+ UInt32(truncatingIfNeeded: rowKey >> 32)
    x = x &* 0x846c_a68b
    x ^= x >> 16
    return element & 8 == 0 ? x & 0xffff : x >> 16
  }
}
