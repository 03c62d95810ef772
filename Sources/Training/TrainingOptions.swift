import Checkpoints
import InteractionData
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

  /// `auto`, `never` or a path, as `--resume` has it.
  public init(_ text: String) {
    switch text {
    case "auto": self = .auto
    case "never": self = .never
    default: self = .checkpoint(text)
    }
  }
}

/// Which lines training logs about its steps, besides the first and the last one.
public enum TrainingLines: Sendable {
  /// One per ten seconds.
  case periodic
  /// None: a display shows them.
  case ends
  /// One per report, and the original's line of metrics per validation and protocol.
  case everyReport
}

/// What a user asked for, before anything was checked: the command line of `train`.
package struct TrainingOptions: Sendable {
  /// The name of one of the program's own configurations.
  package var recipe: String?
  package var configurationFile: String?
  package var data: String?
  /// A split by time (key `split_time`); nil: as the configuration says.
  package var splitTime: String?
  /// nil: `runs/NAME` in the current folder, NAME from the data set.
  package var runFolder: String?
  package var resume = ResumeMode.auto
  /// The model that a new run begins from (key `init_checkpoint`); nil: as the configuration says.
  package var initialCheckpoint: String?
  /// Whether its moments are kept too (key `init_moments`).
  package var keepsMoments = false
  /// The original's files of instances (key `tfrecord`); nil: as the configuration says.
  package var recordedInstances: String?
  package var threads: Int?
  /// Save and stop after this many updates.
  package var stopAfter: Int?
  package var lines = TrainingLines.periodic
  /// `key=value`, in order.
  package var settings: [String] = []
  /// Whether a run that has done all steps ends with an evaluation on the test items.
  package var evaluatesTestItems = true

  package init() {}

  /// The names that `recipe` may have.
  package static var recipes: String { Recipes.all.map(\.name).joined(separator: ", ") }

  /// Command line > file > recipe > defaults, which are the demo's where neither data nor a recipe or a file that may name them is given.
  package func configuration() throws(ProgramFailure) -> RunConfiguration {
    try configuration(file: configurationFileText(), resuming: nil)
  }

  /// Command line > file > recipe > what the run that is resumed keeps > defaults. `log` is told what is taken from that run.
  func configurationOfRun(log: (String) -> Void) throws(ProgramFailure) -> RunConfiguration {
    let file = try configurationFileText()
    guard let recorded = try recordedSettings(file: file) else { return try configuration(file: file, resuming: nil) }
    let configuration = try configuration(file: file, resuming: recorded)
    var alone = RunSettings()
    if recorded.leavesOutData {
      alone = try self.configuration(file: file, resuming: nil).settings
    } else {
      try apply(file, to: &alone)
    }
    let inherited = ConfigurationKey.all.filter { key in
      switch key.name {
      // Resolved in a run's own file.
      case "backend" where alone.backend == .auto: false
      case "num_train_steps" where alone.trainingEpochs != nil: false
      default: key.read(alone) != key.read(configuration.settings)
      }
    }
    if !inherited.isEmpty {
      let settings = inherited.map { "\($0.name) \($0.read(configuration.settings))" }.joined(separator: ", ")
      log("not given here, so as \(recorded.path) says: \(settings)")
    }
    return configuration
  }

  /// It may be a pipe, which is read once.
  private func configurationFileText() throws(ProgramFailure) -> String? {
    guard let configurationFile else { return nil }
    return try RunSettings.text(ofFile: configurationFile)
  }

  private func configuration(
    file: String?, resuming recorded: RecordedSettings?
  ) throws(ProgramFailure) -> RunConfiguration {
    var settings = RunSettings()
    try recorded?.apply(to: &settings)
    try apply(file, to: &settings)
    if settings.data == nil && configurationFile == nil && recipe == nil {
      settings = .demonstration
      try recorded?.apply(to: &settings)
      try apply(file, to: &settings)
    }
    return try RunConfiguration(settings, origin: configurationFile ?? "the configuration")
  }

  /// What stands in the recipe, in the configuration file and on the command line.
  private func apply(_ file: String?, to draft: inout RunSettings) throws(ProgramFailure) {
    if let recipe {
      guard let yaml = Recipes.all.first(where: { $0.name == recipe })?.yaml else {
        throw ProgramFailure(
          .usage,
          "there is no recipe \"\(recipe)\"; known are \(Self.recipes). Give a file of your own to --config.")
      }
      try draft.read(yaml: String(decoding: yaml, as: UTF8.self), file: "recipe \(recipe)")
    }
    if let file, let configurationFile { try draft.read(yaml: file, file: configurationFile) }
    var keys: Set<String> = []
    for setting in settings {
      guard let equals = setting.firstIndex(of: "=") else {
        throw ProgramFailure(.usage, "--set \(setting): expected key=value.")
      }
      let key = String(setting[..<equals])
      keys.insert(key)
      try draft.set(key, String(setting[setting.index(after: equals)...]), origin: "--set")
    }
    // The command line's steps win over a file's epochs.
    if keys.contains("num_train_steps") && !keys.contains("num_train_epochs") { draft.trainingEpochs = nil }
    if let data { draft.data = data }
    if let recordedInstances { try draft.set("tfrecord", recordedInstances, origin: "--tfrecord") }
    if let splitTime { try draft.set("split_time", splitTime, origin: "--split-time") }
    if let initialCheckpoint { try draft.set("init_checkpoint", initialCheckpoint, origin: "--init-checkpoint") }
    if keepsMoments { try draft.set("init_moments", InitialMoments.kept.rawValue, origin: "--keep-moments") }
    if let threads { try draft.set("threads", "\(threads)", origin: "--threads") }
  }

  /// What the run that is about to be resumed keeps of its settings; nil for a new run.
  private func recordedSettings(file: String?) throws(ProgramFailure) -> RecordedSettings? {
    var said = RunSettings()
    try apply(file, to: &said)
    switch resume {
    case .never: return nil
    case .checkpoint(let path): return try RecordedSettings(path)
    case .auto:
      if let runFolder {
        // Without a checkpoint there is no run to resume, unless its name is all that is given.
        let isNew = try RunFolder(runFolder).checkpoints().isEmpty
        if isNew && said.data != nil { return nil }
        return try RecordedSettings(runFolder)
      }
      let data = said.data ?? DemonstrationData.path
      let folder = try "runs/" + (data == DemonstrationData.path ? DemonstrationData.name : DatasetLoader.name(of: data))
      if try RunFolder(folder).checkpoints().isEmpty { return nil }
      var recorded = try RecordedSettings(folder)
      // The folder has its name from the data.
      recorded?.leavesOutData = true
      return recorded
    }
  }
}
