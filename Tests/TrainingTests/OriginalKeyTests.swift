import SystemSupport
import Testing
import Training

/// A JSON file of the original's, as it is, for `--config`.
@Suite struct OriginalKeyTests {
  private static let file = """
    {
      "attention_probs_dropout_prob": 0.15,
      "hidden_act": "relu",
      "hidden_dropout_prob": 0.35,
      "hidden_size": 48,
      "initializer_range": 0.03,
      "intermediate_size": 96,
      "max_position_embeddings": 70,
      "num_attention_heads": 3,
      "num_hidden_layers": 4,
      "type_vocab_size": 2,
      "vocab_size": 3420
    }
    """

  private func read(_ text: String) throws(ProgramFailure) -> RunSettings {
    var settings = RunSettings()
    try settings.read(yaml: text, file: "bert_config.json")
    return settings
  }

  @Test func eachKeyCounts() throws {
    let settings = try read(Self.file)
    var wanted = RunSettings()
    wanted.attentionDropout = 0.15
    wanted.activation = .relu
    wanted.hiddenDropout = 0.35
    wanted.hiddenSize = 48
    wanted.initializerRange = 0.03
    wanted.intermediateSize = 96
    wanted.maximumSequenceLength = 70
    wanted.headCount = 3
    wanted.layerCount = 4
    wanted.vocabularySize = 3420
    #expect(settings == wanted)
  }

  @Test(arguments: [
    ("\"type_vocab_size\": 2", "\"type_vocab_size\": 16", "type_vocab_size is \"16\", but must be 2"),
    ("\"relu\"", "null", "hidden_act is \"null\", but must be one of gelu, relu, tanh, linear"),
    ("\"relu\"", "\"swish\"", "hidden_act is \"swish\", but must be one of gelu, relu, tanh, linear"),
    ("\"vocab_size\"", "\"pooler_type\": 1, \"vocab_size\"", "unknown key \"pooler_type\""),
    (
      "\"vocab_size\"", "\"max_seq_length\": 50, \"vocab_size\"",
      "max_position_embeddings is \"70\" and max_seq_length is \"50\", but they are one key here"
    ),
    ("70", "1", "max_seq_length is \"1\", but must be a whole number from 2"),
    ("3420", "[1]", "the value of \"vocab_size\" must be a plain value"),
  ]) func whatCannotBeIsRefused(text: String, other: String, words: String) {
    do {
      _ = try read(Self.file.replacing(text, with: other))
      Issue.record("nothing failed")
    } catch {
      #expect(error.exitCode == .usage && error.message.contains(words) && error.message.contains("bert_config.json"), "\(error)")
    }
  }

  @Test func oneValueUnderTwoNames() throws {
    #expect(try read(Self.file.replacing("\"vocab_size\"", with: "\"max_seq_length\": 70, \"vocab_size\"")).maximumSequenceLength == 70)
  }

  @Test func dataOfAnotherVocabularyAreRefused() throws {
    var settings = RunSettings()
    settings.data = "x"
    try RunConfiguration(settings).requireVocabulary(itemCount: 3416, of: "ml-1m")
    settings.vocabularySize = 3420
    let configuration = try RunConfiguration(settings)
    try configuration.requireVocabulary(itemCount: 3416, of: "ml-1m")
    do {
      try configuration.requireVocabulary(itemCount: 3415, of: "ml-1m")
      Issue.record("nothing failed")
    } catch { #expect(error.exitCode == .usage && error.message.contains("vocab_size is 3420, but ml-1m has 3415 items"), "\(error)") }
  }
}
