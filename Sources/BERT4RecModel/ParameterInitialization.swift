import Masking
import SystemSupport

extension ParameterLayout {
  /// Fills a flat buffer as the original starts: weights and embeddings from a truncated normal (cut at two standard
  /// deviations), biases 0, LayerNorm weights 1. A pure function of the seed.
  /// - Parameter elements: those of the buffer that are filled; nil: all.
  package func initialize(
    _ parameters: UnsafeMutablePointer<Float>, standardDeviation: Double, seed: UInt64, elements: Range<Int>? = nil
  ) {
    let elements = elements ?? 0..<count
    for (index, slot) in slots.enumerated() {
      let own = slot.range.clamped(to: elements)
      if own.isEmpty { continue }
      switch slot.initialization {
      case .zeros: (parameters + own.lowerBound).update(repeating: 0, count: own.count)
      case .ones: (parameters + own.lowerBound).update(repeating: 1, count: own.count)
      case .truncatedNormal:
        for place in own {
          // Hundreds of millions take minutes.
          if place & 0xFFFF == 0 { Liveness.tick() }
          let normal = Self.truncatedNormal(seed: seed, slot: UInt32(index), element: UInt64(place - slot.offset))
          parameters[place] = Float(normal * standardDeviation)
        }
      }
    }
  }

  /// Box-Muller, drawn again until within two standard deviations.
  private static func truncatedNormal(seed: UInt64, slot: UInt32, element: UInt64) -> Double {
    var attempt: UInt32 = 0
    while true {
      let words = KeyedRandom.block(seed: seed, .initialization, attempt, element, slot)
      for pair in 0..<2 {
        // (0, 1]: its logarithm is finite.
        let uniform = (Double(words[2 * pair]) + 1) / 4_294_967_296
        let radius = (-2 * PortableMath.log(uniform)).squareRoot()
        let (cosine, sine) = PortableMath.cosineAndSine(turns: Double(words[2 * pair + 1]) / 4_294_967_296)
        for normal in [radius * cosine, radius * sine] where abs(normal) <= 2 { return normal }
      }
      attempt += 1
    }
  }
}
