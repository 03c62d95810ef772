import BERT4RecDist

/// The rank that half of the users' held-out items reach.
final class MedianRank: EvaluationHook {
  private var ranks: [Double] = []

  func begin(_ context: EvaluationContext) { ranks = [] }

  func afterRun(_ block: EvaluationBlock, _ results: [UserResult]) {
    ranks += results.compactMap { $0.rank(.full) }
  }

  var metrics: [(key: String, value: Double)] {
    ranks.isEmpty ? [] : [("median_rank[full]", ranks.sorted()[ranks.count / 2])]
  }
}

/// Ends a run when its smoothed loss is low enough.
final class LowEnough: TrainingHook {
  private let bound: Double
  private var smoothed = 10.0

  init(bound: Double) { self.bound = bound }

  func afterStep(_ result: StepResult, step: Int) -> TrainingAnswer {
    smoothed = 0.95 * smoothed + 0.05 * result.loss
    return smoothed < bound ? .stop : .proceed
  }
}

/// Trains with both; every rank calls it.
func trainWithHooks(in folder: String, _ communicator: any Communicator) throws(CollectiveFailure) -> RunOutcome {
  var settings = RunSettings()
  settings.data = "builtin:demo"
  settings.maximumSequenceLength = 32
  settings.hiddenSize = 32
  settings.batchSize = 32
  settings.learningRate = 2e-3
  settings.trainingSteps = 300
  // Checked here: an invalid configuration cannot exist. Every rank finds the same.
  let configuration = try alike { () throws(ProgramFailure) in try RunConfiguration(settings) }
  return try TrainingRun(
    configuration, runFolder: folder, communicator: communicator, hooks: [MedianRank()],
    trainingHooks: [LowEnough(bound: 4.6)]
  ).run()
}
