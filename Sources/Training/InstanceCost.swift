import BERT4RecModel

/// The work of one instance, forward, in FLOP: n tokens, m masked, H hidden, I intermediate, V rows of the vocabulary that a masked
/// one is multiplied with, l layers; the last layer computes masked rows only. Forward and backward are three times that.
package struct InstanceCost: Sendable {
  /// More than any instance costs.
  package static let limit: UInt64 = 1 << 40

  private let hidden, intermediate, vocabulary, layers: UInt64

  package init(_ configuration: ModelConfiguration, _ loss: LossConfiguration = LossConfiguration()) {
    hidden = UInt64(configuration.hiddenSize)
    intermediate = UInt64(configuration.intermediateSize)
    vocabulary = UInt64(loss.scoredRows(vocabularySize: configuration.vocabularySize))
    layers = UInt64(configuration.layerCount)
  }

  /// Saturates below `limit`: such instances cannot be told apart, and the cut stays the same on every rank.
  package func callAsFunction(tokens: Int, masked: Int) -> UInt64 {
    UInt64(min(flop(tokens: tokens, masked: masked), Double(Self.limit - 1)))
  }

  /// Exact in double up to 2^53.
  package func flop(tokens: Int, masked: Int) -> Double {
    let (n, m, h, i, v, l) = (
      Double(tokens), Double(masked), Double(hidden), Double(intermediate), Double(vocabulary), Double(layers)
    )
    let full = n * 2 * (4 * h * h + 2 * h * i) + 4 * h * n * n
    let last = n * 4 * h * h + m * 2 * (2 * h * h + 2 * h * i) + 4 * h * n * m
    return (l - 1) * full + last + m * (2 * h * h + 2 * h * v)
  }
}
