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
  /// H: numbers of an embedding and of each layer's output (`hidden_size`).
  public var hiddenSize: Int
  /// Transformer layers (`num_hidden_layers`).
  public var layerCount: Int
  /// Attention heads per layer; divides H (`num_attention_heads`).
  public var headCount: Int
  /// Width of the feed-forward blocks (`intermediate_size`).
  public var intermediateSize: Int
  /// Longest sequence in tokens; rows of the position table.
  public var maximumSequenceLength: Int
  /// Probability that an output of embeddings or a dense layer is dropped (`hidden_dropout_prob`).
  public var hiddenDropout: Double
  /// Probability that an attention weight is dropped (`attention_probs_dropout_prob`).
  public var attentionDropout: Double
  /// Of the feed-forward blocks and the prediction head (`hidden_act`).
  public var activation: Activation
  /// Standard deviation of the truncated normal that weights and embeddings start from.
  public var initializerRange: Double

  /// Rows of the segments' table, of which the first alone is used (`type_vocab_size`).
  public static let typeVocabularySize = 2
  /// What LayerNorm adds to the variance.
  public static let layerNormEpsilon: Float = 1e-12

  /// The original's defaults but for sizes, which are those of its small configurations.
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

  /// Numbers of one attention head: H / heads.
  public var headSize: Int { hiddenSize / headCount }
}
