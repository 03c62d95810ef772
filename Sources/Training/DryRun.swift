import BERT4RecModel
import Checkpoints
import Communication
import Evaluation
import InteractionData
import SystemSupport

/// What a training run would take, found out by reading all that it reads and measuring a few of its steps. Writes nothing.
package struct DryRun {
  static let warmUpSteps = 3
  static let measuredSteps = 5
  /// Users that a measured evaluation ranks, at most.
  static let measuredUsers = 512

  private let setup: RunSetup
  private let context: RankContext
  private var communicator: any Communicator { context.communicator }
  private let output: (String) -> Void

  /// Throws what the run itself would throw up to its first steps.
  ///
  /// - Parameters:
  ///   - log: gets what the run would say; on rank 0.
  ///   - output: gets what was found out; on rank 0.
  package static func run(
    _ options: TrainingOptions, communicator: any Communicator, log: @escaping (String) -> Void = { printError($0) },
    output: @escaping (String) -> Void = { printResult($0) }
  ) throws(CollectiveFailure) {
    let isRoot = communicator.rank == 0
    let context = RankContext(communicator, log: isRoot ? log : { _ in })
    let configuration = try RunSetup.configuration(context) { () throws(ProgramFailure) in try options.configurationOfRun(log: context.log)
    }
    let setup = try RunSetup(configuration, context)
    let run = DryRun(setup: setup, context: context, output: { if isRoot { output($0) } })
    try run.run(folder: options.runFolder ?? "runs/\(setup.dataset.name)")
  }

  private func run(folder: String) throws(CollectiveFailure) {
    let configuration = setup.configuration
    let memory = try MemoryCheck.run(.training(setup, communicator), communicator)
    let state = try setup.makeState(communicator)
    try state.share(isInitial: true, seed: configuration.seed, communicator)
    let step = try TrainingStep(
      state: state, configuration: configuration, instances: setup.instances, threads: setup.threads, context: context)
    for line in RunDescription.lines(setup, state, step, communicator) { output(line) }
    output(memory)
    let perEpoch = Double(setup.instances.epochCount) / Double(configuration.batchSize)
    let epochs = DecimalText.rounded(Double(configuration.trainingSteps) / perEpoch, 1)
    output(
      "steps: \(configuration.trainingSteps) of \(configuration.batchSize) instances; \(DecimalText.rounded(perEpoch, 1)) per epoch, \(epochs) epochs"
    )

    let stepSeconds = try measureSteps(step)
    let validationSeconds = try measureValidation(state)
    if communicator.rank == 0 { report(folder: folder, state: state, stepSeconds, validationSeconds) }
  }

  /// The median.
  private func measureSteps(_ step: TrainingStep) throws(CollectiveFailure) -> Double {
    try Activity.during("measuring training steps") { () throws(CollectiveFailure) in
      var times: [Double] = []
      for index in 0..<(Self.warmUpSteps + Self.measuredSteps) {
        let watch = Stopwatch()
        let result = try step()
        try communicator.waitForAll()
        if index >= Self.warmUpSteps { times.append(watch.seconds) }
        if !result.isFinite { throw CollectiveFailure(Self.notFinite(result), reach: .everyRank) }
      }
      return times.median
    }
  }

  private static func notFinite(_ result: StepResult) -> ProgramFailure {
    ProgramFailure(
      .internalFault,
      "a measured step has the loss \(result.loss) and the gradient norm \(result.gradientNorm); a lower learning_rate or more "
        + "num_warmup_steps may help")
  }

  /// Seconds of one validation; nil where there are none.
  private func measureValidation(_ state: ModelState) throws(CollectiveFailure) -> Double? {
    let (configuration, dataset) = (setup.configuration, setup.dataset)
    guard configuration.holdout == .testAndValidation else { return nil }
    let users = (0..<dataset.sequences.userCount).count { dataset.sequences.length(of: $0) >= LeaveOneOut.minimumLength }
    let asked = min(users, configuration.validationUsers ?? users)
    let measured = min(asked, Self.measuredUsers)
    let scorer = try communicator.onEveryRank { () throws(ProgramFailure) in
      try ModelScorer(
        state, backend: configuration.backend, threads: setup.threads, longestQuery: dataset.sequences.longestQuery)
    }
    let evaluator = Evaluator(
      dataset: dataset, maximumLength: configuration.maximumSequenceLength, communicator: communicator)
    let watch = Stopwatch()
    // Drawing candidates is done once per run; ranking is done each time.
    _ = try evaluator.evaluate(
      scorer, split: .validation, protocols: [.full], sample: UserSample(count: measured, seed: configuration.seed), step: 0)
    try communicator.waitForAll()
    return watch.seconds * Double(asked) / Double(max(1, measured))
  }

  private func report(folder: String, state: ModelState, _ stepSeconds: Double, _ validationSeconds: Double?) {
    let configuration = setup.configuration
    let rate = Int((Double(configuration.batchSize) / stepSeconds).rounded())
    output("measured: \(DecimalText.rounded(1000 * stepSeconds, 1)) ms per step (median of \(Self.measuredSteps)), \(rate) instances/s")
    var seconds = stepSeconds * Double(configuration.trainingSteps)
    if let validationSeconds {
      let count = configuration.trainingSteps / configuration.resolvedEvaluationInterval
      seconds += validationSeconds * Double(count)
      output("validations: \(count), about \(DurationText.words(validationSeconds)) each")
    }
    let limit = configuration.maximumMinutes * 60
    let limited = limit > 0 && limit < seconds ? "; max_minutes ends it after \(DurationText.words(limit))" : ""
    output("all of it: about \(DurationText.words(seconds)), besides checkpoints and the test\(limited)")
    // Parameters and two moments.
    let checkpoint = 3 * Double(state.layout.count * MemoryLayout<Float>.stride)
    output(
      "disk: \(MemorySize.text(checkpoint)) per checkpoint, up to \(configuration.keepCheckpoints + 1) of them in \(folder)/checkpoints")
    if let newest = (try? RunFolder(folder).checkpoints())?.first {
      output("\(folder) has a checkpoint, \(newest): the run would be resumed, where the configuration is the same")
    }
    output("nothing was written (--dry-run)")
  }
}
