import SystemSupport

/// The activation of the feed-forward blocks and of the prediction head's transform (`hidden_act`).
public enum Activation: String, Sendable, CaseIterable {
  /// x Φ(x), exact by erf (Hendrycks & Gimpel 2016), not the tanh approximation.
  case gelu
  case relu, tanh, linear
}

/// The shape of a BERT4Rec model (Sun et al. 2019, section 3; keys of the original's `BertConfig`).
public struct ModelConfiguration: Sendable, Equatable {
  /// Rows of the embedding table: items + 4 (`TokenIDs`).
  public var vocabularySize: Int
  public var hiddenSize: Int
  public var layerCount: Int
  public var headCount: Int
  public var intermediateSize: Int
  /// Longest sequence in tokens; rows of the position table.
  public var maximumSequenceLength: Int
  public var hiddenDropout: Double
  public var attentionDropout: Double
  public var activation: Activation
  /// Standard deviation of the truncated normal that weights and embeddings start from.
  public var initializerRange: Double

  public static let typeVocabularySize = 2
  public static let layerNormEpsilon: Float = 1e-12

  public init(
    vocabularySize: Int, hiddenSize: Int = 64, layerCount: Int = 2, headCount: Int = 2, intermediateSize: Int = 256,
    maximumSequenceLength: Int = 200, hiddenDropout: Double = 0.2, attentionDropout: Double = 0.2,
    activation: Activation = .gelu, initializerRange: Double = 0.02
  ) {
    self.vocabularySize = vocabularySize
    self.hiddenSize = hiddenSize
    self.layerCount = layerCount
    self.headCount = headCount
    self.intermediateSize = intermediateSize
    self.maximumSequenceLength = maximumSequenceLength
    self.hiddenDropout = hiddenDropout
    self.attentionDropout = attentionDropout
    self.activation = activation
    self.initializerRange = initializerRange
  }

  public var headSize: Int { hiddenSize / headCount }
}
