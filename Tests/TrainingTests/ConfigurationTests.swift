import BERT4RecModel
import Communication
import Foundation
import Recipes
import SystemSupport
import Testing
import Training

@Suite struct ConfigurationTests {
  /// Another value than the default for every key.
  static let others: [String: String] = [
    "data": "odd \"name\"\\ of\t#1: é\n\u{7}.txt", "max_seq_length": "37", "masked_lm_prob": "0.15",
    "max_predictions_per_seq": "7",
    "mask_prob": "0.8", "dupe_factor": "3", "prop_sliding_window": "-1.0", "masking": "static", "holdout": "none", "schedule": "cosine",
    "max_minutes": "1.5", "patience": "4",
    "vocab_size": "200", "tfrecord": "records/*.tfrecord,\"more\"",
    "hidden_size": "48", "num_hidden_layers": "3", "num_attention_heads": "4", "intermediate_size": "100",
    "hidden_act": "relu", "hidden_dropout_prob": "0.3", "attention_probs_dropout_prob": "0.0",
    "initializer_range": "0.05", "learning_rate": "0.00037", "num_train_steps": "77", "num_train_epochs": "2.5",
    "num_warmup_steps": "0", "batch_size": "33", "gradient_shards": "5", "reduction": "fast", "backend": "openblas",
    "seed": "18446744073709551615", "save_checkpoints_steps": "11", "keep_checkpoints": "2", "eval_every": "13",
    "validation_users": "1000", "validation_protocols": "full,pop100", "monitor": "hit@5[pop100]", "report_steps": "3", "threads": "2",
    "stall_timeout": "5.0", "checkpoint_failures": "1", "on_nonfinite": "skip", "max_skipped_steps": "4",
    "verify_every": "17", "data_format": "lists", "data_columns": "user=2,item=\"a b\"", "data_time_format": "%d/%m/%Y",
    "init_checkpoint": "runs/a \"b\"", "init_moments": "kept", "tensorboard": "true",
    "data_skip_bad_rows": "true", "data_events": "buy,\"x\": y", "data_min_rating": "3.5", "data_before": "2021-05-03T00:00:00Z",
    "data_after": "1998-03-01T10:00:00.5Z", "data_drop_duplicates": "true", "data_collapse_repeats": "true", "data_last": "50",
    "data_min_user_count": "5", "data_min_item_count": "4", "split_time": "2014-07-23T10:00:00Z",
    "loss": "sampled", "negatives": "77", "negatives_per": "position", "negative_sampling": "popularity", "negative_exponent": "1.0",
    "gbce_calibration": "0.5", "sce_buckets": "9", "sce_bucket_items": "100", "table_adam": "lazy",
    "table": "sharded",
  ]

  private func everythingElse() throws -> RunSettings {
    var configuration = RunSettings()
    for (key, value) in Self.others { try configuration.set(key, value, origin: "test") }
    return configuration
  }

  private func failure(yaml: String) -> ProgramFailure? {
    var configuration = RunSettings()
    do throws(ProgramFailure) { try configuration.read(yaml: yaml, file: "recipe.yaml") } catch { return error }
    return nil
  }

  @Test func everyKeyIsReadAndWritten() throws {
    #expect(Set(Self.others.keys) == Set(ConfigurationKey.all.map(\.name)), "a key without a value to test it with")
    let defaults = RunSettings()
    for (key, value) in Self.others {
      var configuration = defaults
      try configuration.set(key, value, origin: "test")
      #expect(configuration != defaults && configuration.values[key] == value, "\(key)")
      // Nothing else changed.
      #expect(configuration.values.filter { $0.key != key } == defaults.values.filter { $0.key != key })
    }
  }

  @Test func yamlReadsBackEqual() throws {
    for configuration in [RunSettings(), try everythingElse()] {
      var back = RunSettings()
      try back.read(yaml: configuration.yaml, file: "config.yaml")
      #expect(back == configuration)
      var fromValues = RunSettings()
      for (key, value) in configuration.values { try fromValues.set(key, value, origin: "values") }
      #expect(fromValues == configuration)
    }
  }

  /// A thousand bytes that stand for a billion nodes, which a parser would compare with each other.
  @Test func nestedAliasesAreRefused() {
    var lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in 1..<9 {
      let aliases = Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
      lines.append("a\(level): &a\(level) [\(aliases)]")
    }
    let error = failure(yaml: lines.joined(separator: "\n") + "\n? *a8\n: 1\n")
    #expect(error?.exitCode == .usage && error?.message.contains("recipe.yaml: more than 8 aliases") == true)
    // What only looks like them.
    #expect(failure(yaml: "# *a *b *c *d *e *f *g *h *i *j\nseed: 1\ndata: '*x 2*3*4*5*6*7*8*9*10*11'\n") == nil)
  }

  @Test func keysThatAreLongOrStrange() throws {
    let long = failure(yaml: "? " + String(repeating: "seed", count: 50_000) + "\n: 1\n")
    #expect(long?.message.hasPrefix("recipe.yaml:1: unknown key \"seedseed") == true)
    #expect(long.map { $0.message.utf8.count < 5000 && $0.message.hasSuffix("--help` lists all keys.") } == true)
    let strange = failure(yaml: "\"se\\ned\\e[1m\": 1\n")
    #expect(strange?.message.contains(#"unknown key "se\ned\x1B[1m""#) == true, "\(strange?.message ?? "")")
  }

  @Test func aFileThatIsTooLongIsNotReadInPart() throws {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("bert4rec-\(UUID().uuidString).yaml").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    let text = "data: x\nseed: 7\n" + String(repeating: "#\n", count: 1 << 19)
    try text.write(toFile: path, atomically: true, encoding: .utf8)
    var options = TrainingOptions()
    options.configurationFile = path
    do throws(ProgramFailure) {
      _ = try options.configuration()
      Issue.record("accepted")
    } catch {
      #expect(error == ProgramFailure(.usage, "\(path): more than 1048576 bytes, so not a configuration."))
    }
  }

  @Test func commandLineOverFileOverDefaults() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("bert4rec-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appendingPathComponent("recipe.yaml").path
    try "data: file.txt\nbatch_size: 64\nlearning_rate: 3e-4\nnum_train_epochs: 2\nthreads: 3\n"
      .write(toFile: file, atomically: true, encoding: .utf8)
    var options = TrainingOptions()
    options.configurationFile = file
    var configuration = try options.configuration()
    #expect(configuration.data == "file.txt" && configuration.batchSize == 64 && configuration.learningRate == 3e-4)
    #expect(configuration.trainingEpochs == 2 && configuration.threads == 3)
    #expect(configuration.hiddenSize == 64 && configuration.maximumSequenceLength == 200)

    options.data = "line.txt"
    options.threads = 1
    options.settings = ["batch_size=128", "batch_size=32", "num_train_steps=9", "monitor=mrr[full]"]
    configuration = try options.configuration()
    #expect(configuration.data == "line.txt" && configuration.batchSize == 32 && configuration.threads == 1)
    #expect(configuration.learningRate == 3e-4 && configuration.monitor == "mrr[full]")
    // Steps of the command line win over epochs of the file.
    #expect(configuration.trainingSteps == 9 && configuration.trainingEpochs == nil)
  }

  @Test func theDemoHasSettingsOfItsOwn() throws {
    var options = TrainingOptions()
    options.settings = ["hidden_size=16"]
    let demonstration = try options.configuration()
    #expect(demonstration.hiddenSize == 16 && demonstration.maximumSequenceLength == 32)
    options.data = "some.txt"
    let own = try options.configuration()
    #expect(own.hiddenSize == 16 && own.maximumSequenceLength == 200)
  }

  @Test(arguments: [
    ("batch_sise: 3", "recipe.yaml:1: unknown key \"batch_sise\"; the nearest known one is \"batch_size\"."),
    ("# recipe\n\nseed: 1\nlr: 3", "recipe.yaml:4: unknown key \"lr\""),
    ("seed: 1\nhidden_size: 0", "recipe.yaml:2: hidden_size is \"0\", but must be a whole number from 1 to"),
    ("learning_rate: fast", "recipe.yaml:1: learning_rate is \"fast\", but must be a number from 0.0 to 10.0."),
    ("learning_rate: nan", "recipe.yaml:1: learning_rate is \"nan\""),
    ("masking: sometimes", "one of dynamic, static"),
    ("validation: maybe", "true or false"),
    ("seed: -1", "from 0 to 2^64 - 1"),
    ("num_train_epochs: 0", "auto or a number"),
    ("eval_every: 1.5", "auto or a whole number"),
    ("seed: 1\nbatch_size: [1, 2]", "recipe.yaml:2: the value of \"batch_size\" must be a plain value"),
    ("batch_size:\n  a: 1", "must be a plain value"),
    ("- 1\n- 2", "recipe.yaml: a configuration is a list of lines `key: value`"),
    ("just words", "recipe.yaml: a configuration is a list of lines"),
    ("seed: 1\nhidden_size: \"64", "recipe.yaml:2: not YAML: "),
    ("seed: 1\nseed: 2", "recipe.yaml: \"seed\" is given twice."),
  ]) func wrongConfigurationsAreRefused(yaml: String, words: String) {
    let failure = failure(yaml: yaml)
    #expect(failure?.exitCode == .usage)
    #expect(failure?.message.contains(words) == true, "\(failure?.message ?? "nothing was thrown")")
  }

  @Test(arguments: ["", "\n", "# comments alone\n", "---\n"]) func anEmptyFileChangesNothing(yaml: String) throws {
    var configuration = RunSettings()
    try configuration.read(yaml: yaml, file: "empty.yaml")
    #expect(configuration == RunSettings())
  }

  /// Earlier programs' configurations have `validation`.
  @Test func theFormerNameOfHoldout() throws {
    for (text, value) in [("yes", true), ("No", false), ("on", true), ("FALSE", false), ("\"true\"", true)] {
      var configuration = RunSettings()
      try configuration.read(yaml: "validation: \(text)", file: "test")
      #expect(configuration.holdout == (value ? .testAndValidation : .test))
      #expect(configuration.differences(from: ["validation": "\(value)"]).isEmpty)
    }
  }

  @Test(arguments: [
    (["hidden_size=10", "num_attention_heads=4"], "hidden_size 10 is not a multiple of num_attention_heads 4"),
    (["prop_sliding_window=0.001"], "prop_sliding_window 0.001 of max_seq_length 200"),
    (["prop_sliding_window=-0.5"], "windows that do not move"),
    (["gradient_shards=300"], "gradient_shards 300 is more than batch_size 256"),
    (["monitor=ndcg@10"], "known are hit@1[full]"),
    (["validation_protocols=uniform100"], "monitor ndcg@10[full] is of a protocol that validations leave out"),
    (["validation_protocols=full, uniform100", "monitor=mrr[pop100]"], "validation_protocols is full,uniform100"),
  ]) func relationsBetweenKeys(settings: [String], words: String) throws {
    var configuration = RunSettings()
    for setting in settings {
      let parts = setting.split(separator: "=")
      try configuration.set(String(parts[0]), String(parts[1]), origin: "test")
    }
    do throws(ProgramFailure) {
      configuration.data = "some.txt"
      _ = try RunConfiguration(configuration)
      Issue.record("nothing was thrown")
    } catch {
      #expect(error.exitCode == .usage && error.message.contains(words), "\(error.message)")
    }
  }

  /// What a program sets is held to the same ranges as what a file says.
  @Test func valuesOutOfRangeAreRefused() throws {
    let cases: [(words: String, change: (inout RunSettings) -> Void)] = [
      ("batch_size is \"-3\", but must be a whole number from 1 to", { $0.batchSize = -3 }),
      ("learning_rate is \"nan\", but must be a number from 0.0 to", { $0.learningRate = .nan }),
      ("num_attention_heads is \"0\", but must be", { $0.headCount = 0 }),
      ("eval_every is \"0\", but must be auto or", { $0.evaluationInterval = 0 }),
      ("validation_protocols is \"\", but must be", { $0.validationProtocols = [] }),
      ("init_checkpoint is \"\", but must be", { $0.initialCheckpoint = "" }),
      ("data_format", { $0.dataFormat = "odd" }),
      ("no data set: give --data PATH, or `data:` in the configuration.", { $0.data = nil }),
      ("no data set", { $0.data = "" }),
    ]
    var settings = RunSettings()
    settings.data = "some.txt"
    let configuration = try RunConfiguration(settings)
    #expect(configuration.settings == settings && configuration.data == "some.txt" && configuration.batchSize == 256)
    for (words, change) in cases {
      var changed = settings
      change(&changed)
      do throws(ProgramFailure) {
        _ = try RunConfiguration(changed)
        Issue.record("nothing was thrown: \(words)")
      } catch {
        #expect(error.exitCode == .usage && error.message.contains(words), "\(error.message)")
      }
    }
  }

  /// A configuration reaches the other ranks as it is.
  @Test func aConfigurationIsSentWhole() throws {
    var settings = try everythingElse()
    settings.gradientShards = 5
    (settings.patience, settings.headCount, settings.dataFormat, settings.dataColumns, settings.dataTimeFormat) = (0, 4, nil, nil, nil)
    (settings.monitor, settings.holdout) = ("hit@5[pop100]", .test)
    let usual = LossConfiguration()
    #expect(throws: ProgramFailure.self) { try RunConfiguration(settings) }
    (settings.loss.calibration, settings.loss.buckets, settings.loss.bucketItems) = (usual.calibration, nil, usual.bucketItems)
    let configuration = try RunConfiguration(settings)
    let received: RunConfiguration = try MessageReader.value(of: MessageWriter.bytes(of: configuration))
    #expect(received == configuration)
  }

  /// A key that the loss does not read is refused, and the message says for which one it is.
  @Test(arguments: [
    ("full", "negatives", "9", "for loss sampled or gbce, and loss is full"), ("sce", "negatives_per", "position", "sampled or gbce"),
    ("gbce", "negative_sampling", "popularity", "for loss sampled, and loss is gbce"),
    ("sampled", "negative_exponent", "1", "for negative_sampling popularity, and negative_sampling is uniform"),
    ("sampled", "gbce_calibration", "0.5", "for loss gbce, and loss is sampled"), ("gbce", "sce_buckets", "3", "for loss sce"),
    ("full", "sce_bucket_items", "3", "for loss sce, and loss is full"),
  ])
  func keysOfAnotherLoss(_ loss: String, _ key: String, _ value: String, _ words: String) throws {
    var settings = RunSettings()
    settings.data = "x"
    try settings.set("loss", loss, origin: "test")
    _ = try RunConfiguration(settings)
    try settings.set(key, value, origin: "test")
    do throws(ProgramFailure) {
      _ = try RunConfiguration(settings)
      Issue.record("accepted")
    } catch {
      #expect(error.exitCode == .usage && error.message.contains(key) && error.message.contains(words), "\(error.message)")
    }
  }

  @Test(arguments: ["", "pop100,pop10", "full,full", "all", ","]) func protocolsThatAreNone(text: String) {
    var configuration = RunSettings()
    do throws(ProgramFailure) {
      try configuration.set("validation_protocols", text, origin: "test")
      Issue.record("nothing was thrown")
    } catch {
      #expect(error.exitCode == .usage && error.message.contains("some of full, pop100, uniform100, each once"), "\(error.message)")
    }
  }

  @Test func protocolsInAnyOrder() throws {
    var configuration = RunSettings()
    try configuration.set("validation_protocols", "uniform100, full", origin: "test")
    #expect(configuration.validationProtocols == [.full, .uniform100])
  }

  @Test func derivedValues() {
    var configuration = RunSettings()
    #expect(configuration.resolvedMaximumPredictions == 40 && configuration.slidingStep == 100)
    #expect(configuration.resolvedEvaluationInterval == 1000)
    configuration.maximumSequenceLength = 33
    configuration.maskedProbability = 0.15
    configuration.slidingWindow = 0.1
    configuration.evaluationInterval = 7
    #expect(configuration.resolvedMaximumPredictions == 5 && configuration.slidingStep == 3)
    #expect(configuration.resolvedEvaluationInterval == 7)
    configuration.slidingWindow = -1
    #expect(configuration.slidingStep == 33)
  }
}

/// configs/: the settings of the original's scripts (run_ml-1m.sh and so on), which its paper's numbers are from.
@Suite struct RecipeTests {
  static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  static func recipe(_ name: String) throws -> RunConfiguration {
    let path = root.appendingPathComponent("configs/\(name).yaml").path
    var configuration = RunSettings()
    try configuration.read(yaml: String(contentsOfFile: path, encoding: .utf8), file: path)
    configuration.data = "some.txt"
    return try RunConfiguration(configuration)
  }

  struct Published: Sendable {
    var name: String
    var length, hidden, heads, intermediate: Int
    var hiddenDropout, attentionDropout, maskedProbability: Double
    var predictions: Int
    var slidingWindow: Double
    var steps: Int
  }

  static let published = [
    Published(
      name: "ml-1m-64", length: 200, hidden: 64, heads: 2, intermediate: 256, hiddenDropout: 0.2, attentionDropout: 0.2,
      maskedProbability: 0.2, predictions: 40, slidingWindow: 0.5, steps: 400_000),
    Published(
      name: "ml-1m-256", length: 200, hidden: 256, heads: 8, intermediate: 512, hiddenDropout: 0.5,
      attentionDropout: 0.2, maskedProbability: 0.2, predictions: 40, slidingWindow: 0.5, steps: 400_000),
    Published(
      name: "beauty-64", length: 50, hidden: 64, heads: 2, intermediate: 256, hiddenDropout: 0.5,
      attentionDropout: 0.2, maskedProbability: 0.6, predictions: 30, slidingWindow: 0.1, steps: 400_000),
    Published(
      name: "ml-20m-64", length: 200, hidden: 64, heads: 2, intermediate: 256, hiddenDropout: 0.1,
      attentionDropout: 0.1, maskedProbability: 0.2, predictions: 20, slidingWindow: 0.5, steps: 400_000),
    Published(
      name: "steam-64", length: 50, hidden: 64, heads: 2, intermediate: 256, hiddenDropout: 0.1,
      attentionDropout: 0.1, maskedProbability: 0.4, predictions: 20, slidingWindow: 0.5, steps: 800_000),
  ]

  @Test(arguments: published) func haveThePublishedSettings(_ published: Published) throws {
    let recipe = try Self.recipe(published.name)
    #expect(recipe.maximumSequenceLength == published.length)
    #expect(recipe.hiddenSize == published.hidden && recipe.headCount == published.heads)
    #expect(recipe.intermediateSize == published.intermediate && recipe.layerCount == 2)
    #expect(recipe.hiddenDropout == published.hiddenDropout && recipe.attentionDropout == published.attentionDropout)
    #expect(recipe.maskedProbability == published.maskedProbability && recipe.maskProbability == 1)
    #expect(recipe.resolvedMaximumPredictions == published.predictions)
    #expect(recipe.slidingWindow == published.slidingWindow && recipe.duplicationFactor == 10)
    #expect(recipe.trainingSteps == published.steps && recipe.warmupSteps == 100)
    #expect(recipe.learningRate == 1e-4 && recipe.batchSize == 256 && recipe.activation == .gelu)
    #expect(recipe.initializerRange == 0.02 && recipe.holdout == .test)
  }

  /// Recipes of our own; docs/accuracy.md says which are measured.
  static let own = ["beauty", "ml-1m", "ml-20m", "steam"]

  /// They are the published models, trained otherwise, as the paper splits the data.
  @Test(arguments: own) func areThePublishedModels(_ name: String) throws {
    let recipe = try Self.recipe(name)
    let published = try Self.recipe(name + "-64")
    #expect(recipe.hiddenSize == published.hiddenSize && recipe.layerCount == published.layerCount)
    #expect(recipe.headCount == published.headCount && recipe.maximumSequenceLength == published.maximumSequenceLength)
    // With half as many masks and a loss that costs less Beauty learns more per minute.
    #expect(recipe.maskedProbability == (name == "beauty" ? 0.3 : published.maskedProbability))
    #expect(recipe.loss.kind == (name == "beauty" ? .sampled : .full) && recipe.slidingWindow == published.slidingWindow)
    #expect(recipe.resolvedMaximumPredictions == published.resolvedMaximumPredictions && recipe.holdout == .test)
  }

  /// No model of MovieLens-100K was published.
  @Test func oneIsOfMovieLens100K() throws {
    let recipe = try Self.recipe("ml-100k")
    #expect(recipe.hiddenSize == 64 && recipe.layerCount == 2 && recipe.maximumSequenceLength == 100)
    #expect(recipe.trainingSteps == 6_000 && recipe.batchSize == 32 && recipe.gradientShards == 4 && recipe.holdout == .test)
  }

  @Test func theProgramCarriesTheFiles() throws {
    let folder = Self.root.appendingPathComponent("configs")
    let files = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".yaml") }
    #expect(Recipes.all.map(\.name) == files.map { String($0.dropLast(".yaml".count)) }.sorted())
    for (name, yaml) in Recipes.all {
      #expect(yaml == [UInt8](try Data(contentsOf: folder.appendingPathComponent("\(name).yaml"))), "\(name)")
    }
  }

  @Test func aRecipeIsTakenByItsName() throws {
    var options = TrainingOptions()
    options.recipe = "beauty-64"
    options.data = "beauty.txt"
    options.settings = ["num_train_steps=7"]
    let configuration = try options.configuration()
    #expect(configuration.maximumSequenceLength == 50 && configuration.trainingSteps == 7)
    options.recipe = "beautiful"
    let failure = #expect(throws: ProgramFailure.self) { try options.configuration() }
    #expect(failure?.exitCode == .usage && failure?.message.contains("beauty, beauty-64, ml-100k, ml-1m, ml-1m-256") == true)
  }

  @Test func allRecipesAreTested() throws {
    let files = try FileManager.default.contentsOfDirectory(atPath: Self.root.appendingPathComponent("configs").path)
    #expect(Set(files.filter { $0.hasSuffix(".yaml") }) == Set((Self.published.map(\.name) + Self.own + ["ml-100k"]).map { $0 + ".yaml" }))
  }
}
