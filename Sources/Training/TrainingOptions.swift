import Recipes
import SystemSupport

/// Where a run begins.
public enum ResumeMode: Sendable, Equatable {
  /// From the newest good checkpoint of the run folder, if there is one.
  case auto
  /// From the start; refused where the run folder has checkpoints.
  case never
  /// From this checkpoint or run folder.
  case checkpoint(String)

  public init(_ text: String) {
    switch text {
    case "auto": self = .auto
    case "never": self = .never
    default: self = .checkpoint(text)
    }
  }
}

/// What a user asked for, before anything was checked: the command line of `train`.
public struct TrainingOptions: Sendable {
  /// The name of one of the program's own configurations.
  public var recipe: String?
  public var configurationFile: String?
  public var data: String?
  /// nil: `runs/NAME` in the current folder, NAME from the data set.
  public var runFolder: String?
  public var resume = ResumeMode.auto
  public var threads: Int?
  /// Save and stop after this many updates.
  public var stopAfter: Int?
  /// `key=value`, in order.
  public var settings: [String] = []

  public init() {}

  /// The names that `recipe` may have, for help texts.
  public static var recipes: String { Recipes.all.map(\.name).joined(separator: ", ") }

  /// Neither data nor configuration: the built-in demo.
  var isDemonstration: Bool { data == nil && configurationFile == nil && recipe == nil }

  /// Command line > file > recipe > defaults.
  package func configuration() throws(Failure) -> RunConfiguration {
    var configuration = isDemonstration ? RunConfiguration.demonstration : RunConfiguration()
    if let recipe {
      guard let yaml = Recipes.all.first(where: { $0.name == recipe })?.yaml else {
        throw Failure(
          .usage,
          "there is no recipe \"\(recipe)\"; known are \(Recipes.all.map(\.name).joined(separator: ", ")). A file of your own goes "
            + "to --config.")
      }
      try configuration.read(yaml: String(decoding: yaml, as: UTF8.self), file: "recipe \(recipe)")
    }
    if let configurationFile {
      let longest = 1 << 20
      let bytes = try FileSystem.read(configurationFile, limit: longest + 1)
      if bytes.count > longest {
        throw Failure(.usage, "\(configurationFile): more than \(longest) bytes, so not a configuration.")
      }
      guard let text = String(validating: bytes, as: UTF8.self) else {
        throw Failure(.usage, "\(configurationFile): not a text file, so not a configuration.")
      }
      try configuration.read(yaml: text, file: configurationFile)
    }
    var keys: Set<String> = []
    for setting in settings {
      guard let equals = setting.firstIndex(of: "=") else {
        throw Failure(.usage, "--set \(setting): expected key=value.")
      }
      let key = String(setting[..<equals])
      keys.insert(key)
      try configuration.set(key, String(setting[setting.index(after: equals)...]), origin: "--set")
    }
    // The command line's steps win over a file's epochs.
    if keys.contains("num_train_steps") && !keys.contains("num_train_epochs") { configuration.trainingEpochs = nil }
    if let data { configuration.data = data }
    if let threads { try configuration.set("threads", "\(threads)", origin: "--threads") }
    try configuration.validate()
    if configuration.data == nil {
      throw Failure(.usage, "no data set: give --data PATH, or `data:` in \(configurationFile ?? "the configuration").")
    }
    return configuration
  }
}

extension RunConfiguration {
  /// Small and quick, for the built-in data set.
  static var demonstration: RunConfiguration {
    var configuration = RunConfiguration()
    configuration.data = DemonstrationData.path
    configuration.maximumSequenceLength = 32
    configuration.maskedProbability = 0.3
    configuration.hiddenSize = 32
    configuration.intermediateSize = 64
    configuration.hiddenDropout = 0.1
    configuration.attentionDropout = 0.1
    // Without bias correction Adam's first updates are up to six times the rate; far above this, or with a shorter warm-up, they
    // throw the model back to the items' frequencies, and rounding decides whether it comes out again.
    configuration.learningRate = 2e-3
    configuration.trainingSteps = 1500
    configuration.warmupSteps = 100
    configuration.batchSize = 64
    configuration.checkpointInterval = 500
    configuration.reportInterval = 150
    return configuration
  }
}
