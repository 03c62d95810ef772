import BERT4RecModel
import Communication
import InteractionData
import Masking
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

  init(_ configuration: RunConfiguration, _ context: RankContext) throws(CollectiveFailure) {
    if configuration.data == DemonstrationData.path {
      context.log(
        "This is the built-in demo: 400 generated users, 120 items. For your own data: bert4rec-dist train --data FILE")
      context.log("(FILE: lines `user item` in time order, or MovieLens, RecBole, CSV files; see bert4rec-dist prepare --help)")
    }
    var settings = configuration.settings
    try settings.settleBackend(context)
    (dataset, targets) = try Self.dataset(configuration, context)
    let split = LeaveOneOut(dataset.sequences, holdout: configuration.holdout, testsLater: configuration.splitTime != nil)
    instances = MaskedInstances(
      windows: Windows(split, maximumLength: configuration.maximumSequenceLength, slidingStep: configuration.slidingStep),
      tokens: TokenIDs(itemCount: dataset.itemCount), configuration: configuration.maskingConfiguration,
      seed: configuration.seed, stored: try Self.storedInstances(configuration, dataset, split, context))
    if let epochs = configuration.trainingEpochs {
      let steps = (epochs * Double(instances.epochCount) / Double(configuration.batchSize)).rounded(.up)
      settings.trainingSteps = max(1, Int(min(steps, 1e9)))
    }
    if let wanted = settings.threads {
      threads = wanted
    } else {
      threads = try ThreadCount.automatic(context.communicator)
    }
    self.configuration = try alike { () throws(ProgramFailure) in try RunConfiguration(settings) }
  }

  /// All zeros, on every rank.
  func makeState(_ communicator: any Communicator) throws(CollectiveFailure) -> ModelState {
    try communicator.onEveryRank { () throws(ProgramFailure) in
      switch configuration.table {
      case .replicated: try ModelState(modelConfiguration)
      case .sharded: try ModelState(modelConfiguration, shardedOver: communicator, configuration.loss.arrangement)
      }
    }
  }

  /// Tokens of the longest question of an evaluation: where targets lie behind a split, a whole history and `[MASK]`.
  var longestQuery: Int { dataset.sequences.longestQuery + (configuration.splitTime == nil ? 0 : 1) }

  /// The configuration that rank 0 makes, on every rank; refuses ranks of another version.
  package static func configuration(
    _ context: RankContext, _ make: () throws(ProgramFailure) -> RunConfiguration
  ) throws(CollectiveFailure) -> RunConfiguration {
    try context.communicator.requireSame(
      "the program's version", "\(ProgramVersion.current), numerics: \(ProgramVersion.numericsOfLosses)")
    return try context.communicator.fromRankZero(make)
  }

  /// Those of the original's files (`tfrecord`); nil where the run makes its own.
  private static func storedInstances(
    _ configuration: RunConfiguration, _ dataset: Dataset, _ split: LeaveOneOut, _ context: RankContext
  ) throws(CollectiveFailure) -> StoredInstances? {
    guard let patterns = configuration.recordedInstances else { return nil }
    let own = try context.communicator.onRankZero { () throws(ProgramFailure) in
      try RecordedInstances(
        dataset: dataset, split: split, maximumLength: configuration.maximumSequenceLength, log: context.log
      ).read(patterns)
    }
    return try StoredInstances.shared(own, context.communicator, log: context.log)
  }

  private static func dataset(
    _ configuration: RunConfiguration, _ context: RankContext
  ) throws(CollectiveFailure) -> (Dataset, targets: Dataset?) {
    let own = try context.communicator.onRankZero { () throws(ProgramFailure) in
      let loaded = try loadDatasetAndTargets(configuration.data, options: configuration.loadingOptions, log: context.log)
      try loaded.dataset.requireUsable()
      try configuration.requireVocabulary(itemCount: loaded.dataset.itemCount, of: loaded.dataset.name)
      return loaded
    }
    return (try Dataset.shared(own?.dataset, context.communicator, log: context.log), own?.targets)
  }
}
