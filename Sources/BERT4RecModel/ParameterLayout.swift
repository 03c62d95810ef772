/// A named tensor's place in the flat parameter buffer.
///
/// `name` is the tensor's name in Hugging Face's `BertForMaskedLM` and in model.safetensors; dense weights are (out, in), row-major.
public struct ParameterSlot: Sendable, Equatable {
  public let name: String
  public let shape: [Int]
  public let offset: Int
  /// Whether Adam's decoupled weight decay touches it: not biases, not LayerNorm (the original's exclusions).
  public let decays: Bool
  /// How it starts.
  public let initialization: Initialization

  public enum Initialization: Sendable, Equatable { case truncatedNormal, zeros, ones }

  public var count: Int { shape.reduce(1, *) }
  public var range: Range<Int> { offset..<(offset + count) }
}

/// Where each parameter stands in one flat buffer without gaps. Gradients and both moments use the same offsets, so that
/// allreduce, Adam, hash and checkpoint are ranges of a buffer.
///
/// Letters: V vocabulary, L positions, H hidden, I intermediate. Query, key and value stand next to each other, so that one
/// product computes all three (or, in the last layer, key and value alone).
public struct ParameterLayout: Sendable, Equatable {
  public private(set) var slots: [ParameterSlot] = []
  /// Elements of the whole buffer.
  public private(set) var count = 0

  /// Offsets of one encoder layer.
  public struct Layer: Sendable, Equatable {
    public var queryKeyValueWeight = 0  // (3H, H): query, key, value
    public var queryKeyValueBias = 0  // (3H)
    public var attentionOutputWeight = 0  // (H, H)
    public var attentionOutputBias = 0  // (H)
    public var attentionNormWeight = 0  // (H)
    public var attentionNormBias = 0  // (H)
    public var intermediateWeight = 0  // (I, H)
    public var intermediateBias = 0  // (I)
    public var outputWeight = 0  // (H, I)
    public var outputBias = 0  // (H)
    public var outputNormWeight = 0  // (H)
    public var outputNormBias = 0  // (H)
  }

  public private(set) var wordEmbeddings = 0  // (V, H)
  /// Where the table ends; the prediction bias, which belongs to it, is the buffer's end.
  var afterWordEmbeddings: Int { positionEmbeddings }
  public private(set) var positionEmbeddings = 0  // (L, H)
  public private(set) var tokenTypeEmbeddings = 0  // (2, H)
  public private(set) var embeddingNormWeight = 0  // (H)
  public private(set) var embeddingNormBias = 0  // (H)
  public private(set) var layers: [Layer] = []
  public private(set) var transformWeight = 0  // (H, H)
  public private(set) var transformBias = 0  // (H)
  public private(set) var transformNormWeight = 0  // (H)
  public private(set) var transformNormBias = 0  // (H)
  public private(set) var predictionBias = 0  // (V)

  public init(_ configuration: ModelConfiguration) {
    let hidden = configuration.hiddenSize
    let intermediate = configuration.intermediateSize

    wordEmbeddings = add("bert.embeddings.word_embeddings.weight", [configuration.vocabularySize, hidden])
    positionEmbeddings = add(
      "bert.embeddings.position_embeddings.weight", [configuration.maximumSequenceLength, hidden])
    tokenTypeEmbeddings = add(
      "bert.embeddings.token_type_embeddings.weight", [ModelConfiguration.typeVocabularySize, hidden])
    (embeddingNormWeight, embeddingNormBias) = addNorm("bert.embeddings.LayerNorm", hidden)

    for index in 0..<configuration.layerCount {
      let prefix = "bert.encoder.layer.\(index)"
      var layer = Layer()
      layer.queryKeyValueWeight = add("\(prefix).attention.self.query.weight", [hidden, hidden])
      _ = add("\(prefix).attention.self.key.weight", [hidden, hidden])
      _ = add("\(prefix).attention.self.value.weight", [hidden, hidden])
      layer.queryKeyValueBias = add("\(prefix).attention.self.query.bias", [hidden])
      _ = add("\(prefix).attention.self.key.bias", [hidden])
      _ = add("\(prefix).attention.self.value.bias", [hidden])
      (layer.attentionOutputWeight, layer.attentionOutputBias) = addDense(
        "\(prefix).attention.output.dense", from: hidden, to: hidden)
      (layer.attentionNormWeight, layer.attentionNormBias) = addNorm("\(prefix).attention.output.LayerNorm", hidden)
      (layer.intermediateWeight, layer.intermediateBias) = addDense(
        "\(prefix).intermediate.dense", from: hidden, to: intermediate)
      (layer.outputWeight, layer.outputBias) = addDense("\(prefix).output.dense", from: intermediate, to: hidden)
      (layer.outputNormWeight, layer.outputNormBias) = addNorm("\(prefix).output.LayerNorm", hidden)
      layers.append(layer)
    }

    (transformWeight, transformBias) = addDense("cls.predictions.transform.dense", from: hidden, to: hidden)
    (transformNormWeight, transformNormBias) = addNorm("cls.predictions.transform.LayerNorm", hidden)
    predictionBias = add("cls.predictions.bias", [configuration.vocabularySize])
  }

  private mutating func add(_ name: String, _ shape: [Int]) -> Int {
    let isNorm = name.contains("LayerNorm")
    let isBias = name.hasSuffix("bias")
    let slot = ParameterSlot(
      name: name, shape: shape, offset: count, decays: !isNorm && !isBias,
      initialization: isBias ? .zeros : isNorm ? .ones : .truncatedNormal)
    slots.append(slot)
    count += slot.count
    return slot.offset
  }

  private mutating func addDense(_ name: String, from input: Int, to output: Int) -> (weight: Int, bias: Int) {
    (add("\(name).weight", [output, input]), add("\(name).bias", [output]))
  }

  private mutating func addNorm(_ name: String, _ size: Int) -> (weight: Int, bias: Int) {
    (add("\(name).weight", [size]), add("\(name).bias", [size]))
  }
}
