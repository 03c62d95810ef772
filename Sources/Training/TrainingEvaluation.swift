import Collectives
import Evaluation
import InteractionData
import SystemSupport

/// Evaluates the model in training.
final class TrainingEvaluation {
  private let evaluator: Evaluator
  private let state: ModelState
  private let hooks: [any EvaluationHook]
  /// Made at the first evaluation: it has a workspace of its own.
  private lazy var scorer = ModelScorer(state)

  init(
    dataset: Dataset, configuration: RunConfiguration, state: ModelState, communicator: any Communicator,
    hooks: [any EvaluationHook]
  ) {
    evaluator = Evaluator(
      dataset: dataset, maximumLength: configuration.maximumSequenceLength, communicator: communicator)
    self.state = state
    self.hooks = hooks
  }

  /// Collective; the report is on rank 0.
  func evaluate(_ split: EvaluationSplit) throws(Failure) -> EvaluationReport? {
    try evaluator.evaluate(scorer, split: split, step: state.step, hooks: hooks)
  }
}
