import Checkpoints
import InteractionData
import SystemSupport
import Training

/// JSON, configuration files, `--set` and lines of `recommend --stream`.
enum TextTargets {
  static func all(in folder: String) -> [FuzzTarget] { [json, configuration(folder), settings, stream] }

  private static var json: FuzzTarget {
    let corpus = [
      #"{"a":[1,-2.5e-3,true,false,null,{}],"b\u00e9\n":"\ud834\udd1e \"x\"","c":{"d":[[],[0]]}}"#,
      #" [ 18446744073709551615 , "é" , 1E+2 ] "#, #"{"step":10,"loss":6.5e-1}"#,
    ].map { Array($0.utf8) }
    return FuzzTarget("json", corpus: corpus, places: [" at byte "]) { input, _ in
      let value: JSON
      do throws(JSONError) { value = try JSON.parse(input) } catch { throw ProgramFailure(.badData, "\(error)") }
      for text in [value.line, value.pretty] {
        guard let again = try? JSON.parse(Array(text.utf8)) else { throw Broken("what is written is JSON: \(text)") }
        try require(again == value, "JSON is read as it is written: \(text)")
      }
      _ = (value.int, value.double, value["a"]?.members)
    }
  }

  private static func configuration(_ folder: String) -> FuzzTarget {
    let path = folder + "/recipe.yaml"
    let recipe = """
      # Differences from the defaults.
      data: "a \\"file\\""
      max_seq_length: 50
      masked_lm_prob: 0.6
      max_predictions_per_seq: auto
      masking: static
      hidden_size: 64
      num_attention_heads: 2
      learning_rate: 1e-4
      num_train_epochs: 0.5
      validation: false   # as published
      seed: 18446744073709551615
      monitor: 'ndcg@10[pop100]'
      threads: 2

      """
    var full = RunSettings()
    full.data = "x.txt"
    let bomb = "a: &a [x, x]\nb: &b [*a, *a]\n? *b\n: 1\nc: {d: &d [1, 2], *d : 3}\n"
    let words = ConfigurationKey.all.map(\.name) + ["*a", "&a ", "*b", "? *b\n: ", "!!int ", "!!str ", "<<: *a\n"]
    return FuzzTarget(
      "configuration", corpus: [recipe, full.yaml, bomb].map { Array($0.utf8) }, words: words, codes: [.usage],
      // A relation between keys names the keys.
      places: [path] + ConfigurationKey.all.map(\.name)
    ) { input, _ in
      put(input, path)
      var options = TrainingOptions()
      options.configurationFile = path
      let read = try options.configuration()
      try requireAgain(read.settings)
    }
  }

  /// config.yaml of a run repeats it.
  private static func requireAgain(_ configuration: RunSettings) throws {
    var again = RunSettings()
    do throws(ProgramFailure) { try again.read(yaml: configuration.yaml, file: "config.yaml") } catch {
      throw Broken("config.yaml of what was accepted is accepted: \(error.message)")
    }
    try require(again == configuration, "config.yaml repeats a configuration: \(configuration.yaml)")
    var set = RunSettings()
    for (key, value) in configuration.values { try set.set(key, value, origin: "--set") }
    try require(set == configuration, "the recorded values repeat a configuration: \(configuration.values)")
    _ = (configuration.slidingStep, configuration.resolvedMaximumPredictions)
  }

  private static var settings: FuzzTarget {
    let corpus = [
      "seed=7\nhidden_size=32\nlearning_rate=0.25\n", "batch_size=16\nmonitor=mrr[full]\nnum_train_epochs=3\n",
      "reduction=fast\nhidden_act=relu\nprop_sliding_window=-1\nvalidation=no\n",
    ].map { Array($0.utf8) }
    let keys = ConfigurationKey.all.map(\.name)
    return FuzzTarget("settings", corpus: corpus, words: keys + ["="], codes: [.usage], places: ["--set"] + keys) {
      input, _ in
      var options = TrainingOptions()
      options.data = "x.txt"
      options.settings = input.split(separator: 0x0A).map { String(decoding: $0, as: UTF8.self) }
      try requireAgain(options.configuration().settings)
    }
  }

  private static var stream: FuzzTarget {
    let corpus = [
      #"{"items":["a","b",12,"unknown"]}"#,
      #"{"user_id":{"x":[1]},"items":[],"top_k":3,"keep_seen":true,"candidates":["b","\u00e9",12]}"#,
    ].map { Array($0.utf8) }
    let words = ["user", "user_id", "items", "candidates", "top_k", "keep_seen", "\"a\"", "12", "null", "1e400", "[", "{\"items\":"]
    let catalogue = ItemIndex(ExternalIDs(["a", "b", "12", "é"].map { Array($0.utf8) }))
    return FuzzTarget("stream", corpus: corpus, words: words, places: ["line 5: "]) { input, _ in
      let line = StreamRequest(input, number: 5, catalogue: catalogue, defaults: .init(topK: 10, keepSeen: false))
      let request = try line.outcome.get()
      try require(request.topK >= 1, "a list has a place")
      for item in request.history + (request.candidates?.items ?? []) { try require((1...4).contains(item), "an item of the catalogue") }
      if let user = line.user { try require((try? JSON.parse(Array(user.value.line.utf8))) == user.value, "a user is given back") }
    }
  }
}
