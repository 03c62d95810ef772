import SystemSupport

/// What a tile adds to a softmax's denominator.
struct TileSum {
  /// The tile's highest score.
  var maximum: Float
  /// Of exp(score - maximum) over the tile.
  var exponentialSum: Double
}

extension TileSum {
  /// Words of 4 bytes.
  static let words = 3

  func write(to words: inout WordWriter) {
    words.write(maximum)
    words.write(exponentialSum)
  }

  init(from words: inout WordReader) {
    self.init(maximum: words.read(), exponentialSum: words.read())
  }
}

/// The logarithm of the sum of exp(score) over a vocabulary, from its tiles in ascending order: their order is that of the additions.
struct SoftmaxSum {
  private var maximum = -Float.infinity
  private var exponentialSum = 0.0  // of exp(score - maximum)

  mutating func take(_ tile: TileSum) {
    if tile.maximum > maximum {
      exponentialSum *= PortableMath.exp(Double(maximum) - Double(tile.maximum))
      exponentialSum += tile.exponentialSum
      maximum = tile.maximum
    } else {
      exponentialSum += tile.exponentialSum * PortableMath.exp(Double(tile.maximum) - Double(maximum))
    }
  }

  var logarithm: Double { Double(maximum) + PortableMath.log(exponentialSum) }
}
