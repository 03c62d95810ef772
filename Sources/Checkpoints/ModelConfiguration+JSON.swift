import BERT4RecModel
import InteractionData
import SystemSupport

/// config.json, in the form that Hugging Face's `BertForMaskedLM` loads.
extension ModelConfiguration {
  package func huggingFaceJSON(maskToken: Int32) -> JSON {
    [
      "architectures": .array([.string("BertForMaskedLM")]),
      "model_type": .string("bert"),
      "vocab_size": .integer(vocabularySize),
      "hidden_size": .integer(hiddenSize),
      "num_hidden_layers": .integer(layerCount),
      "num_attention_heads": .integer(headCount),
      "intermediate_size": .integer(intermediateSize),
      "hidden_act": .string(activation.rawValue),
      "hidden_dropout_prob": .double(hiddenDropout),
      "attention_probs_dropout_prob": .double(attentionDropout),
      "max_position_embeddings": .integer(maximumSequenceLength),
      "type_vocab_size": .integer(Self.typeVocabularySize),
      "initializer_range": .double(initializerRange),
      "layer_norm_eps": .number("1e-12"),
      "pad_token_id": .integer(TokenIDs.padding),
      "mask_token_id": .integer(maskToken),
      "tie_word_embeddings": .bool(true),
      // Hugging Face's older and newer name of the same thing.
      "torch_dtype": .string("float32"),
      "dtype": .string("float32"),
    ]
  }

  /// Reads config.json; `path` is for the messages.
  package init(huggingFaceJSON json: JSON, path: String) throws(ProgramFailure) {
    let architecture = json["model_type"]?.string
    guard architecture == "bert" else {
      throw ProgramFailure(.badData, "\(path): model_type is \(architecture ?? "missing"), \"bert\" is needed")
    }
    try self.init(sharedKeys: json, path: path)
  }

  /// The keys of the original's `BertConfig`, which Hugging Face's have the names of. Sizes are bounded, so that a layout of them cannot
  /// overflow.
  private init(sharedKeys json: JSON, path: String) throws(ProgramFailure) {
    func size(_ key: String, _ range: ClosedRange<Int>) throws(ProgramFailure) -> Int {
      guard let value = json[key]?.int, range.contains(value) else {
        throw ProgramFailure(
          .badData, "\(path): \"\(key)\" is not a whole number from \(range.lowerBound) to \(range.upperBound)")
      }
      return value
    }
    func fraction(_ key: String) throws(ProgramFailure) -> Double {
      guard let value = json[key]?.double, value >= 0, value < 1 else {
        throw ProgramFailure(.badData, "\(path): \"\(key)\" is not a number from 0 to below 1")
      }
      return value
    }

    guard let activation = json["hidden_act"]?.string.flatMap(Activation.init(rawValue:)) else {
      let known = Activation.allCases.map(\.rawValue).joined(separator: ", ")
      throw ProgramFailure(.badData, "\(path): \"hidden_act\" is none of \(known)")
    }
    guard try size("type_vocab_size", 0...Int(Int32.max)) == Self.typeVocabularySize else {
      throw ProgramFailure(.badData, "\(path): \"type_vocab_size\" is not \(Self.typeVocabularySize)")
    }
    self.init(
      vocabularySize: try size("vocab_size", 4...Int(Int32.max)), hiddenSize: try size("hidden_size", 1...(1 << 20)),
      layerCount: try size("num_hidden_layers", 1...(1 << 12)),
      headCount: try size("num_attention_heads", 1...(1 << 20)),
      intermediateSize: try size("intermediate_size", 1...(1 << 24)),
      maximumSequenceLength: try size("max_position_embeddings", 1...(1 << 24)),
      hiddenDropout: try fraction("hidden_dropout_prob"),
      attentionDropout: try fraction("attention_probs_dropout_prob"),
      activation: activation, initializerRange: try fraction("initializer_range"))
    guard hiddenSize % headCount == 0 else {
      throw ProgramFailure(
        .badData, "\(path): \"hidden_size\" \(hiddenSize) is not a multiple of \"num_attention_heads\" \(headCount)")
    }
  }
}

/// A JSON file of the original's `BertConfig` (its `bert_config_file`).
extension ModelConfiguration {
  package var originalJSON: JSON {
    [
      "attention_probs_dropout_prob": .double(attentionDropout),
      "hidden_act": .string(activation.rawValue),
      "hidden_dropout_prob": .double(hiddenDropout),
      "hidden_size": .integer(hiddenSize),
      "initializer_range": .double(initializerRange),
      "intermediate_size": .integer(intermediateSize),
      "max_position_embeddings": .integer(maximumSequenceLength),
      "num_attention_heads": .integer(headCount),
      "num_hidden_layers": .integer(layerCount),
      "type_vocab_size": .integer(Self.typeVocabularySize),
      "vocab_size": .integer(vocabularySize),
    ]
  }

  /// Has just these keys: another one might say that the model is another. `path` is for the messages.
  package init(originalJSON json: JSON, path: String) throws(ProgramFailure) {
    try self.init(sharedKeys: json, path: path)
    let known = Set((originalJSON.members ?? []).map(\.key))
    if let other = json.members?.first(where: { !known.contains($0.key) }) {
      throw ProgramFailure(.badData, "\(path): \"\(other.key)\" is no key of the original's BertConfig")
    }
  }
}
