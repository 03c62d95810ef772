import Checkpoints
import Collectives
import Evaluation
import SystemSupport

/// The loop: a step on all ranks, the record, then whatever is due after it. Every rank takes the same decisions, rank 0 alone
/// touches the disk and the terminal.
struct TrainingLoop {
  let configuration: RunConfiguration
  let stopAfter: Int?
  let state: ModelState
  let step: TrainingStep
  let evaluation: TrainingEvaluation
  let disk: RunDisk
  let communicator: any Communicator
  let progress: Progress
  let log: (String) -> Void

  private let records: StepRecords
  private var pace = Pace()
  private var lossWatch: LossWatch

  /// Collective.
  init(
    configuration: RunConfiguration, stopAfter: Int?, itemCounts: [Int64], state: ModelState, step: TrainingStep,
    evaluation: TrainingEvaluation, disk: RunDisk, communicator: any Communicator, progress: Progress,
    log: @escaping (String) -> Void
  ) throws(Failure) {
    self.configuration = configuration
    self.stopAfter = stopAfter
    self.state = state
    self.step = step
    self.evaluation = evaluation
    self.disk = disk
    self.communicator = communicator
    self.progress = progress
    self.log = log
    records = try StepRecords(communicator)
    lossWatch = LossWatch(itemCounts: itemCounts, schedule: LearningRateSchedule(configuration), warn: log)
  }

  mutating func run() throws(Failure) -> TrainingRun.Outcome {
    let total = configuration.trainingSteps
    if let stopAfter, state.step >= stopAfter {
      log("stopped: \(state.step) of \(total) steps are done already, and --stop-after is \(stopAfter)")
      return .stopped
    }
    while state.step < total {
      pace.begin()
      let result = try step()
      if result.isFinite { lossWatch.see(result, step: state.step) } else { try skip(result) }
      pace.end(result, instances: configuration.batchSize)
      progress.enter(.record)
      let decision = try records.exchange(
        StepRecord(
          step: state.step, stops: StopSignals.isStopRequested, saves: StopSignals.takeSaveRequest(),
          seconds: result.workSeconds))
      progress.finished(step: state.step)

      let isLast = state.step == total
      let stops = decision.stops || state.step == stopAfter
      if state.step == 1 || isLast || state.step % configuration.reportInterval == 0 { report(result) }
      var validation: EvaluationReport?
      let validates =
        configuration.holdout == .testAndValidation && (isLast || state.step % configuration.resolvedEvaluationInterval == 0)
      if validates { validation = try validate() }
      let saves = isLast || stops || decision.saves || state.step % configuration.checkpointInterval == 0
      if validates || saves || state.step % configuration.verificationInterval == 0 { try compareReplicas() }
      if validates || saves { try save(validation, isDue: saves, mayFail: !isLast && !stops) }
      if stops && !isLast {
        log("stopped after step \(state.step) of \(total); the state is saved, the same command goes on")
        return .stopped
      }
    }
    return .finished
  }

  /// Counts a step whose numbers are not finite and goes on, or throws. Every rank has the same numbers, so all do the same.
  private func skip(_ result: StepResult) throws(Failure) {
    let users = step.usersOfNonFiniteShards
    let what =
      "step \(state.step + 1): the loss is \(result.loss), the gradient norm \(result.gradientNorm), the learning rate "
      + "\(result.learningRate); instances \(step.lastInstances.lowerBound) to \(step.lastInstances.upperBound - 1) of epoch "
      + "\(result.epoch)" + (users.isEmpty ? "" : ", not finite in those of user \(disk.userNames(users))")
    if configuration.onNonFinite == .skip && state.skippedSteps < configuration.maximumSkippedSteps {
      step.skip()
      log("warning: \(what). Skipped, \(state.skippedSteps) of at most \(configuration.maximumSkippedSteps) (max_skipped_steps).")
      return
    }
    let saved = progress.savedStep.map { "the last good checkpoint is that of step \($0)" } ?? "there is no checkpoint yet"
    let skipped = state.skippedSteps == 0 ? "" : " \(state.skippedSteps) steps were skipped before (max_skipped_steps)."
    throw communicator.shared(
      Failure(
        .internalFault,
        "\(what). The parameters are as the last good step left them; \(saved).\(skipped) A lower learning_rate or more "
          + "num_warmup_steps may help; on_nonfinite=skip goes on without such steps."))
  }

  private mutating func report(_ result: StepResult) {
    progress.enter(.report)
    let (speed, work) = (pace.take(), records.takeWork())
    guard communicator.rank == 0 else { return }
    let ranks =
      communicator.size == 1
      ? ""
      : "  own work \(rounded(work.median, 4)) s, slowest \(rounded(work.slowest, 4)) s (rank \(work.rank), \(work.host))"
    log(
      "step \(state.step)/\(configuration.trainingSteps)  epoch \(result.epoch)  loss \(rounded(result.loss, 4))  "
        + "rate \(rounded(result.learningRate, 7))  norm \(rounded(result.gradientNorm, 3))  "
        + "\(rounded(speed.instances, 1)) instances/s\(ranks)")
    disk.append([
      ("step", .int(state.step)), ("epoch", .int(result.epoch)), ("loss", .double(result.loss)),
      ("learning_rate", .double(result.learningRate)), ("gradient_norm", .double(result.gradientNorm)),
      ("instances_per_s", .double(speed.instances)), ("tokens_per_s", .double(speed.tokens)),
      ("work_seconds_median", .double(work.median)), ("work_seconds_slowest", .double(work.slowest)),
      ("slowest_rank", .int(work.rank)), ("slowest_host", .string(work.host)),
      ("seconds", .double(pace.elapsed)), ("parameter_hash", .string(state.parameterHash)),
    ])
  }

  /// The report is on rank 0.
  private func validate() throws(Failure) -> EvaluationReport? {
    let report = try evaluation.evaluate(.validation)
    guard let report else { return nil }
    disk.append(report)
    for line in report.lines { log(line) }
    return report
  }

  private func compareReplicas() throws(Failure) {
    progress.enter(.comparison)
    try ReplicaComparison.run(state, communicator: communicator, log: log)
  }

  /// Collective. Writes a checkpoint where one is due or the validation was the best so far. What the disk refuses is said and
  /// tried again at the next one, unless it must not fail or has failed too often.
  private func save(_ validation: EvaluationReport?, isDue: Bool, mayFail: Bool) throws(Failure) {
    progress.enter(.checkpoint)
    let saved = try communicator.fromRankZero { () throws(Failure) in
      let isBest = validation.map { disk.isBest($0) } ?? false
      guard isDue || isBest else { return [] }
      guard try disk.save(best: isBest ? validation : nil, mayFail: mayFail) else { return [] }
      if isBest { log("best \(configuration.monitor) so far") }
      return [1]
    }
    if !saved.isEmpty { progress.savedStep = state.step }
  }
}

/// Four decimals for people; files have all digits.
func rounded(_ value: Double, _ digits: Int) -> String {
  guard value.isFinite, abs(value) < 1e12 else { return "\(value)" }
  var scale = 1.0
  for _ in 0..<digits { scale *= 10 }
  return "\((value * scale).rounded() / scale)"
}
