/// A named tensor's place in the flat parameter buffer.
///
/// `name` is the tensor's name in Hugging Face's `BertForMaskedLM` and in model.safetensors; dense weights are (out, in), row-major.
package struct ParameterSlot: Sendable, Equatable {
  package let name: String
  package let shape: [Int]
  package let offset: Int
  /// Whether Adam's decoupled weight decay touches it: not biases, not LayerNorm (the original's exclusions).
  package let decays: Bool
  /// How it starts.
  package let initialization: Initialization

  package enum Initialization: Sendable, Equatable { case truncatedNormal, zeros, ones }

  package var count: Int { shape.reduce(1, *) }
  package var range: Range<Int> { offset..<(offset + count) }
}

/// Where each parameter stands in one flat buffer without gaps. Gradients and both moments use the same offsets, so that
/// allreduce, Adam, hash and checkpoint are ranges of a buffer.
///
/// Letters: V vocabulary, L positions, H hidden, I intermediate. Query, key and value stand next to each other, so that one
/// product computes all three (or, in the last layer, key and value alone).
package struct ParameterLayout: Sendable, Equatable {
  package let slots: [ParameterSlot]
  /// Elements of the whole buffer.
  package let count: Int

  /// Offsets of a LayerNorm's weight and bias, (H) each.
  package struct Norm: Sendable, Equatable {
    package let weight, bias: Int
  }

  /// Offsets of a dense layer's weight (outputs, inputs) and bias (outputs).
  package struct Dense: Sendable, Equatable {
    package let weight, bias: Int
    package let inputs, outputs: Int
  }

  /// Offsets of one encoder layer.
  package struct Layer: Sendable, Equatable {
    package let queryKeyValue: Dense  // H to 3H: query, key, value
    package let attentionOutput: Dense  // H to H
    package let attentionNorm: Norm
    package let intermediate: Dense  // H to I
    package let output: Dense  // I to H
    package let outputNorm: Norm
  }

  package let wordEmbeddings: Int  // (V, H)
  /// Where the table ends; the prediction bias, which belongs to it, is the buffer's end.
  var afterWordEmbeddings: Int { positionEmbeddings }
  /// What is neither the table nor its biases: the parameters that every step touches.
  package var besidesTable: Range<Int> { positionEmbeddings..<predictionBias }
  package let positionEmbeddings: Int  // (L, H)
  package let tokenTypeEmbeddings: Int  // (2, H)
  package let embeddingNorm: Norm
  package let layers: [Layer]
  package let transform: Dense  // H to H
  package let transformNorm: Norm
  package let predictionBias: Int  // (V)

  package init(_ configuration: ModelConfiguration) {
    let hidden = configuration.hiddenSize
    let intermediate = configuration.intermediateSize
    var builder = Builder()
    wordEmbeddings = builder.weight("bert.embeddings.word_embeddings", [configuration.vocabularySize, hidden])
    positionEmbeddings = builder.weight(
      "bert.embeddings.position_embeddings", [configuration.maximumSequenceLength, hidden])
    tokenTypeEmbeddings = builder.weight(
      "bert.embeddings.token_type_embeddings", [ModelConfiguration.typeVocabularySize, hidden])
    embeddingNorm = builder.norm("bert.embeddings.LayerNorm", hidden)
    layers = (0..<configuration.layerCount).map { index in
      let prefix = "bert.encoder.layer.\(index)"
      return Layer(
        queryKeyValue: builder.dense(
          ["query", "key", "value"].map { "\(prefix).attention.self.\($0)" }, from: hidden, to: hidden),
        attentionOutput: builder.dense(["\(prefix).attention.output.dense"], from: hidden, to: hidden),
        attentionNorm: builder.norm("\(prefix).attention.output.LayerNorm", hidden),
        intermediate: builder.dense(["\(prefix).intermediate.dense"], from: hidden, to: intermediate),
        output: builder.dense(["\(prefix).output.dense"], from: intermediate, to: hidden),
        outputNorm: builder.norm("\(prefix).output.LayerNorm", hidden))
    }
    transform = builder.dense(["cls.predictions.transform.dense"], from: hidden, to: hidden)
    transformNorm = builder.norm("cls.predictions.transform.LayerNorm", hidden)
    predictionBias = builder.bias("cls.predictions", configuration.vocabularySize)
    slots = builder.slots
    count = builder.count
  }

  /// Gives out places one after the other.
  private struct Builder {
    var slots: [ParameterSlot] = []
    var count = 0

    mutating func weight(_ name: String, _ shape: [Int]) -> Int {
      add(name + ".weight", shape, decays: true, .truncatedNormal)
    }

    mutating func bias(_ name: String, _ size: Int) -> Int { add(name + ".bias", [size], decays: false, .zeros) }

    mutating func norm(_ name: String, _ size: Int) -> Norm {
      Norm(weight: add(name + ".weight", [size], decays: false, .ones), bias: bias(name, size))
    }

    /// Several layers of the same input, whose weights and biases stand together and are those of one.
    mutating func dense(_ names: [String], from inputs: Int, to outputs: Int) -> Dense {
      let weights = names.map { weight($0, [outputs, inputs]) }
      let biases = names.map { bias($0, outputs) }
      return Dense(weight: weights[0], bias: biases[0], inputs: inputs, outputs: names.count * outputs)
    }

    private mutating func add(
      _ name: String, _ shape: [Int], decays: Bool, _ initialization: ParameterSlot.Initialization
    ) -> Int {
      let slot = ParameterSlot(name: name, shape: shape, offset: count, decays: decays, initialization: initialization)
      slots.append(slot)
      count += slot.count
      return slot.offset
    }
  }
}
