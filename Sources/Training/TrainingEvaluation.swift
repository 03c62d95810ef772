import BERT4RecModel
import Communication
import Evaluation
import InteractionData
import StallDetection
import SystemSupport

/// Evaluates the model in training.
final class TrainingEvaluation {
  private let evaluator: Evaluator
  private let state: ModelState
  private let hooks: [any EvaluationHook]
  /// Made at the first evaluation: it has a workspace per thread.
  private var scorer: RankScorer?
  private let context: RankContext
  private let backend: BackendChoice
  private let threads: Int
  private let longestQuery: Int
  private let validationProtocols: [EvaluationProtocol]
  private let validationSample: UserSample?
  private let dataset: Dataset
  private let targets: Dataset?

  init(
    _ setup: RunSetup, state: ModelState, hooks: [any EvaluationHook], context: RankContext
  ) {
    let configuration = setup.configuration
    (dataset, targets) = (setup.dataset, setup.targets)
    evaluator = Evaluator(
      dataset: dataset, maximumLength: configuration.maximumSequenceLength, testsLater: configuration.splitTime != nil,
      communicator: context.communicator)
    self.context = context
    self.state = state
    backend = configuration.backend
    threads = setup.threads
    longestQuery = setup.longestQuery
    validationProtocols = configuration.validationProtocols
    validationSample = configuration.validationUsers.map { UserSample(count: $0, seed: configuration.seed) }
    self.hooks = hooks
  }

  /// The report is on rank 0. A signal that asks for an end is a failure with the exit code `stopped`. Validations ask whom and what the
  /// configuration says, tests everybody and everything.
  func evaluate(_ split: EvaluationSplit) throws(CollectiveFailure) -> EvaluationReport? {
    context.progress.enter(.evaluation)
    let validates = split == .validation
    return try withTiles { () throws(CollectiveFailure) in
      try evaluator.evaluate(
        madeScorer(), split: split, protocols: validates ? validationProtocols : EvaluationProtocol.allCases,
        sample: validates ? validationSample : nil, step: state.step, hooks: hooks,
        shouldStop: { StopSignals.isStopRequested })
    }
  }

  /// With the rows at hand that this rank scores.
  private func withTiles<R>(_ evaluate: () throws(CollectiveFailure) -> R) throws(CollectiveFailure) -> R {
    guard let table = state.table, context.communicator.size > 1 else { return try evaluate() }
    try table.borrowTiles()
    defer { table.endBorrowing() }
    return try evaluate()
  }

  /// The report is on rank 0. The model's lists against what users did behind the split by time.
  func evaluateTargets() throws(CollectiveFailure) -> TargetReport? {
    context.progress.enter(.evaluation)
    let asked = try context.communicator.onRankZero { () throws(ProgramFailure) in
      guard let targets else { preconditionFailure("a split has targets") }
      return try TargetLists.Asked(targets: targets, histories: dataset, itemIDs: dataset.itemIDs)
    }
    return try withTiles { () throws(CollectiveFailure) in
      try TargetLists.evaluate(
        asked, madeScorer(), itemCounts: dataset.itemCounts, maximumLength: state.configuration.maximumSequenceLength,
        step: state.step,
        communicator: context.communicator, shouldStop: { StopSignals.isStopRequested })
    }
  }

  /// What is said after that.
  static func stopped(_ state: ModelState, of configuration: RunConfiguration) -> String {
    "stopped in the evaluation of step \(state.step) of \(configuration.trainingSteps); the state is saved, the same command resumes the run"
  }

  private func madeScorer() throws(CollectiveFailure) -> RankScorer {
    if let scorer { return scorer }
    let made = try context.communicator.onEveryRank { () throws(ProgramFailure) -> RankScorer in
      // On one rank all rows are its own.
      guard let table = state.table, context.communicator.size > 1 else {
        return .replicas(
          try ModelScorer(state, backend: backend, threads: threads, longestQuery: longestQuery, progress: context.progress))
      }
      return .sharded(
        try ShardedModelScorer(
          state, backend: backend, threads: threads, longestQuery: longestQuery, progress: context.progress
        ) { (tokens) throws(CollectiveFailure) in
          try tokens.withUnsafeBufferPointer { (ids) throws(CollectiveFailure) in try table.fetch(ids) }
        })
    }
    scorer = made
    return made
  }
}
