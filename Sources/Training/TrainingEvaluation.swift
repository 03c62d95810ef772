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
  private var scorer: ModelScorer?
  private let context: RankContext
  private let backend: BackendChoice
  private let threads: Int
  private let longestQuery: Int
  private let validationProtocols: [EvaluationProtocol]
  private let validationSample: UserSample?

  init(
    dataset: Dataset, configuration: RunConfiguration, state: ModelState, threads: Int, hooks: [any EvaluationHook],
    context: RankContext
  ) {
    evaluator = Evaluator(
      dataset: dataset, maximumLength: configuration.maximumSequenceLength, communicator: context.communicator)
    self.context = context
    self.state = state
    backend = configuration.backend
    self.threads = threads
    longestQuery = dataset.sequences.longestQuery
    validationProtocols = configuration.validationProtocols
    validationSample = configuration.validationUsers.map { UserSample(count: $0, seed: configuration.seed) }
    self.hooks = hooks
  }

  /// The report is on rank 0. A signal that asks for an end is a failure with the exit code `stopped`. Validations ask whom and what the
  /// configuration says, tests everybody and everything.
  func evaluate(_ split: EvaluationSplit) throws(CollectiveFailure) -> EvaluationReport? {
    context.progress.enter(.evaluation)
    let validates = split == .validation
    return try evaluator.evaluate(
      madeScorer(), split: split, protocols: validates ? validationProtocols : EvaluationProtocol.allCases,
      sample: validates ? validationSample : nil, step: state.step, hooks: hooks,
      shouldStop: { StopSignals.isStopRequested })
  }

  /// What is said after that.
  static func stopped(_ state: ModelState, of configuration: RunConfiguration) -> String {
    "stopped in the evaluation of step \(state.step) of \(configuration.trainingSteps); the state is saved, the same command resumes the run"
  }

  private func madeScorer() throws(CollectiveFailure) -> ModelScorer {
    if let scorer { return scorer }
    let made = try context.communicator.onEveryRank { () throws(Failure) in
      try ModelScorer(state, backend: backend, threads: threads, longestQuery: longestQuery, progress: context.progress)
    }
    scorer = made
    return made
  }
}
