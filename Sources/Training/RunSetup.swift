import BERT4RecModel
import Collectives
import Evaluation
import InteractionData
import MaskedInstances
import SystemSupport

/// What a run is about, the same on every rank: rank 0 reads configuration and data, the others get both by broadcast.
package struct RunSetup {
  let configuration: RunConfiguration
  let dataset: Dataset
  /// On rank 0: what lies behind a split by time; nil without one.
  let targets: Dataset?
  let instances: MaskedInstances
  /// Threads per rank.
  let threads: Int

  var modelConfiguration: ModelConfiguration {
    configuration.modelConfiguration(vocabularySize: instances.tokens.vocabularySize)
  }

  /// Collective.
  init(
    _ configuration: RunConfiguration, communicator: any Communicator, log: (String) -> Void
  ) throws(Failure) {
    var configuration = configuration
    if configuration.data == DemonstrationData.path {
      log(
        "This is the built-in demo: 400 generated users, 120 items. For your own data: bert4rec-dist train --data FILE")
      log("(FILE: lines `user item` in time order, or MovieLens, RecBole, CSV files; see bert4rec-dist prepare --help)")
    }
    try configuration.settleBackend(communicator, log: log)
    (dataset, targets) = try Self.dataset(configuration, communicator, log)
    instances = MaskedInstances(
      windows: Windows(
        LeaveOneOut(dataset.sequences, holdout: configuration.holdout, testsLater: configuration.splitTime != nil),
        maximumLength: configuration.maximumSequenceLength, slidingStep: configuration.slidingStep),
      tokens: TokenIDs(itemCount: dataset.itemCount), configuration: configuration.maskingConfiguration,
      seed: configuration.seed)
    if let epochs = configuration.trainingEpochs {
      let steps = (epochs * Double(instances.epochCount) / Double(configuration.batchSize)).rounded(.up)
      configuration.trainingSteps = max(1, Int(min(steps, 1e9)))
    }
    if let wanted = configuration.threads {
      threads = wanted
    } else {
      threads = try ThreadCount.automatic(communicator)
    }
    self.configuration = configuration
  }

  /// Tokens of the longest question of an evaluation: where targets lie behind a split, a whole history and `[MASK]`.
  var longestQuery: Int { dataset.sequences.longestQuery + (configuration.splitTime == nil ? 0 : 1) }

  /// What a training run of it takes.
  func memoryPlan(_ communicator: any Communicator) -> MemoryPlan {
    let users = dataset.sequences.userCount
    var drawnUsers = users * EvaluationProtocol.sampledCount(EvaluationProtocol.allCases)
    if configuration.holdout == .testAndValidation {
      drawnUsers +=
        min(users, configuration.validationUsers ?? users)
        * EvaluationProtocol.sampledCount(configuration.validationProtocols)
    }
    return MemoryPlan(.training(drawnUsers: drawnUsers), self, communicator)
  }

  /// Collective. Rank 0's configuration on every rank; refuses ranks of another version. Where a run may be resumed, what the options
  /// leave open is taken from its folder, which is said.
  package static func configuration(
    _ options: TrainingOptions, mayResume: Bool, communicator: any Communicator, log: (String) -> Void
  ) throws(Failure) -> RunConfiguration {
    try communicator.requireSame(
      "the program's version", "\(ProgramVersion.current), numerics \(ProgramVersion.numerics)")
    var own = RunConfiguration()
    let text = try communicator.fromRankZero { () throws(Failure) in
      own = mayResume ? try options.configurationOfRun(log: log) : try options.configuration()
      return Array(own.values.map { "\($0.key)\0\($0.value)" }.joined(separator: "\0").utf8)
    }
    if communicator.rank == 0 { return own }
    let parts = String(decoding: text, as: UTF8.self).split(separator: "\0", omittingEmptySubsequences: false)
    for index in stride(from: 0, to: parts.count - 1, by: 2) {
      try own.set(String(parts[index]), String(parts[index + 1]), origin: "rank 0's configuration")
    }
    return own
  }

  private static func dataset(
    _ configuration: RunConfiguration, _ communicator: any Communicator, _ log: (String) -> Void
  ) throws(Failure) -> (Dataset, targets: Dataset?) {
    var (own, targets): (Dataset?, Dataset?)
    try communicator.onRankZero { () throws(Failure) in
      (own, targets) = try loadDatasetAndTargets(configuration.data ?? "", options: configuration.loadingOptions(), log: log)
      try own?.requireUsable()
    }
    return (try Dataset.shared(own, communicator, log: log), targets)
  }
}
