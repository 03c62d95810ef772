import Checkpoints
import Communication
import Evaluation
import StallDetection
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
  private let lines: TrainingLines
  private let context: RankContext
  private var communicator: any Communicator { context.communicator }
  private var progress: RankProgress { context.progress }

  private let records: StepRecords
  private var pace = Pace()
  private let status: TrainingStatus
  private var lineClock: LineClock
  /// Asked on rank 0.
  private let hooks: [any TrainingHook]
  private var returns = Returns()
  private var phases: PhaseTimes
  /// The report that is under way, on rank 0.
  private var reportLine: [(key: String, value: MetricValue)] = []

  init(
    configuration: RunConfiguration, stopAfter: Int?, itemCounts: [Int64], state: ModelState, step: TrainingStep,
    evaluation: TrainingEvaluation, disk: RunDisk, hooks: [any TrainingHook], lines: TrainingLines, context: RankContext
  ) {
    self.configuration = configuration
    self.stopAfter = stopAfter
    self.state = state
    self.step = step
    self.evaluation = evaluation
    self.disk = disk
    self.lines = lines
    self.context = context
    phases = PhaseTimes(step: state.step)
    let now = ContinuousClock.now
    status = TrainingStatus(configuration, step: state.step, secondsLeft: disk.secondsLeft, began: now)
    // A little before a display's own line is due.
    lineClock = LineClock(every: ProgressPace.interval - .milliseconds(500), now: now)
    records = StepRecords(context.communicator)
    let watch = LossWatch(
      itemCounts: itemCounts, schedule: LearningRateSchedule(configuration), loss: configuration.loss.kind, warn: context.log)
    self.hooks = context.communicator.rank == 0 ? [watch] + hooks : []
  }

  /// Time of training in this process, validations and checkpoints included, in words.
  var elapsed: String {
    pace.elapsed < 100 ? "\(DecimalText.rounded(pace.elapsed, 1)) s" : "\(DecimalText.rounded(pace.elapsed / 60, 1)) minutes"
  }

  /// Seconds per step of the ranks' own work, in words; on rank 0, of several ranks.
  var ownWork: String? {
    guard communicator.rank == 0, communicator.size > 1 else { return nil }
    let work = records.allWork
    return
      "own work per step: median of the ranks \(DecimalText.rounded(work.median, 4)) s, slowest \(DecimalText.rounded(work.slowest, 4)) s (rank \(work.rank), \(work.host))"
  }

  mutating func run() throws(CollectiveFailure) -> RunOutcome {
    let status = self.status
    return try Activity.during(status) { () throws(CollectiveFailure) in try runSteps() }
  }

  private mutating func runSteps() throws(CollectiveFailure) -> RunOutcome {
    let total = configuration.trainingSteps
    if let stopAfter, state.step >= stopAfter {
      log("stopped: \(state.step) of \(total) steps are done already, and --stop-after is \(stopAfter)")
      return .stopped
    }
    if try validateIfMissing() == .stopped { return .stopped }
    if state.step > 0, try endsEarly() { return .finished }
    while state.step < total {
      pace.begin()
      let result = try step()
      writeReport()
      var (hookSaves, hookStops) = (false, false)
      if result.isFinite {
        for hook in hooks {
          switch hook.afterStep(result, step: state.step) {
          case .proceed: break
          case .save: hookSaves = true
          case .stop: hookStops = true
          }
        }
      } else if try replicasAgree() {
        try skip(result)
      } else {
        if try goBack() == .stopped { return .stopped }
        continue
      }
      pace.end(result, instances: configuration.batchSize)
      status.update(result, step: state.step, seconds: pace.lastStep)
      progress.enter(.record)
      let decision = try records.exchange(
        StepRecord(
          step: state.step, stops: StopSignals.isStopRequested || hookStops,
          saves: StopSignals.takeSaveRequest() || hookSaves,
          ends: disk.isOutOfTime, seconds: result.workSeconds, check: step.check))
      if !decision.agrees {
        if try goBack() == .stopped { return .stopped }
        continue
      }
      progress.finished(step: state.step)

      let isLast = state.step == total || decision.ends
      let stops = decision.stops || state.step == stopAfter
      let validates = validatesNow || (isLast && configuration.holdout == .testAndValidation)
      let saves = isLast || stops || decision.saves || state.step % configuration.checkpointInterval == 0
      if validates || saves || state.step % configuration.verificationInterval == 0, try !replicasAgree() {
        if try goBack() == .stopped { return .stopped }
        continue
      }
      let isReported = state.step == 1 || isLast || state.step % configuration.reportInterval == 0
      if communicator.rank == 0, sayStep(isReported: isReported, isEnd: isLast || stops) { log(status.text(now: ContinuousClock.now)) }
      if isReported { beginReport(result) }
      // What is due is saved before a validation: whatever becomes of that, nothing trained is lost.
      if validates || saves { writeReport() }
      if saves { try save(mayFail: !isLast && !stops) }
      // Whoever asks for an end does not wait for a validation; it is made up for when the run is resumed.
      if validates && (isLast || !decision.stops), try validate() == .stopped { return .stopped }
      if decision.ends || (validates && !stops), try endsEarly() { return .finished }
      if stops && !isLast {
        log("stopped after step \(state.step) of \(total); the state is saved, the same command resumes the run")
        return .stopped
      }
    }
    return .finished
  }

  /// Whether time or patience are over; then the state is saved, so that the same command knows it too.
  private mutating func endsEarly() throws(CollectiveFailure) -> Bool {
    if configuration.maximumMinutes == 0 && configuration.patience == 0 { return false }
    guard let reason = try communicator.fromRankZero({ () throws(ProgramFailure) in disk.earlyEnd }) else { return false }
    writeReport()
    try save(mayFail: false)
    log("the run ends at step \(state.step) of \(configuration.trainingSteps): \(reason)")
    return true
  }

  /// Counts a step whose numbers are not finite and continues, or throws. Every rank has the same numbers, so all do the same.
  private func skip(_ result: StepResult) throws(CollectiveFailure) {
    let (users, instances) = (step.usersOfNonFiniteShards, step.plan.positions)
    let what =
      "step \(state.step + 1): the loss is \(result.loss), the gradient norm \(result.gradientNorm), the learning rate "
      + "\(result.learningRate); instances \(instances.lowerBound) to \(instances.upperBound - 1) of epoch "
      + "\(result.epoch)" + (users.isEmpty ? "" : ", not finite in those of user \(disk.dataset.names(ofUsers: users))")
    if configuration.onNonFinite == .skip && state.skippedSteps < configuration.maximumSkippedSteps {
      step.skip()
      log("warning: \(what). Skipped, \(state.skippedSteps) of at most \(configuration.maximumSkippedSteps) (max_skipped_steps).")
      return
    }
    let saved = progress.savedStep.map { "the last good checkpoint is that of step \($0)" } ?? "there is no checkpoint yet"
    let skipped = state.skippedSteps == 0 ? "" : " \(state.skippedSteps) steps were skipped before (max_skipped_steps)."
    throw .onEveryRank(
      .internalFault,
      "\(what). The parameters are as the last good step left them; \(saved).\(skipped) A lower learning_rate or more "
        + "num_warmup_steps may help; on_nonfinite=skip continues without such steps.")
  }

  private func log(_ line: String) { context.log(line) }

  // MARK: - Reports

  /// Whether the log gets a line on this step.
  private mutating func sayStep(isReported: Bool, isEnd: Bool) -> Bool {
    let isDue = lineClock.isDue(ContinuousClock.now)
    switch lines {
    case .everyReport: return isReported || isEnd
    case .periodic: return isDue || isEnd || state.step == 1
    case .ends: return isEnd
    }
  }

  /// Begins the line for metrics.jsonl, on rank 0. It lacks the parameters' hash, which is made beside the next step's gradients:
  /// `writeReport` completes it.
  private mutating func beginReport(_ result: StepResult) {
    progress.enter(.report)
    // On all ranks, whose replicas are compared as they stand in memory, though only rank 0 reads the whole.
    if state.table == nil { step.catchUpAll() }
    let ranks = records.ranksWork
    let (speed, work) = (pace.take(), records.takeWork())
    guard communicator.rank == 0 else { return }
    reportLine = [
      ("step", .int(state.step)), ("epoch", .int(result.epoch)), ("loss", .double(result.loss)),
      ("learning_rate", .double(result.learningRate)), ("gradient_norm", .double(result.gradientNorm)),
      ("instances_per_s", .double(speed.instances)), ("tokens_per_s", .double(speed.tokens)),
      ("work_seconds_median", .double(work.median)), ("work_seconds_slowest", .double(work.slowest)),
      ("slowest_rank", .int(work.rank)), ("slowest_host", .string(work.host)), ("seconds", .double(pace.elapsed)),
    ]
    reportLine += phases.take(step.clock, step: state.step) + ranks
    // A sharded table would have to cross the network for it; checkpoints have the hash.
    if state.table == nil { step.hash.begin() }
  }

  /// Writes the report that is under way, if one is: before anything else goes to the disk, so that lines keep their order.
  private mutating func writeReport() {
    guard !reportLine.isEmpty else { return }
    disk.append(reportLine + (state.table == nil ? [("parameter_hash", .string(step.hash.finish()))] : []))
    reportLine = []
  }

  // MARK: - Validation

  private var validatesNow: Bool {
    configuration.holdout == .testAndValidation
      && (state.step == configuration.trainingSteps || state.step % configuration.resolvedEvaluationInterval == 0)
  }

  /// A run that was ended between a checkpoint and its validation makes up for that.
  private func validateIfMissing() throws(CollectiveFailure) -> RunOutcome {
    guard state.step > 0 && validatesNow else { return .finished }
    let lacks = try communicator.fromRankZero { () throws(ProgramFailure) in disk.lacksValidation }
    return lacks ? try validate() : .finished
  }

  /// Validates, and writes a checkpoint where that was the best so far; `.stopped` where a signal ended it.
  private func validate() throws(CollectiveFailure) -> RunOutcome {
    let report: EvaluationReport?
    log("validation of step \(state.step) begins")
    do throws(CollectiveFailure) { report = try evaluation.evaluate(.validation) } catch {
      guard error.exitCode == .stopped else { throw error }
      try save(mayFail: false)
      log(TrainingEvaluation.stopped(state, of: configuration))
      return .stopped
    }
    if let report {
      if lines == .everyReport { for line in report.lines { log(line) } }
      let metric = report.value(configuration.monitor)
      status.validated(metric)
      log("validation of step \(state.step): \(report.summary(configuration.monitor))")
    }
    try save(report, mayFail: state.step != configuration.trainingSteps && state.step != stopAfter)
    // The line comes last: a run that is ended before it does the same validation again.
    if let report { disk.append(report) }
    return .finished
  }

  // MARK: - Checkpoints

  /// Whether all replicas are the same, and still what the last update has left in memory.
  private func replicasAgree() throws(CollectiveFailure) -> Bool {
    progress.enter(.comparison)
    step.lookAtMemory()
    return try records.exchange(StepRecord(step: state.step, check: step.check)).agrees
  }

  /// A replica is not what it should be, and through its gradients perhaps none is: all go back to the last checkpoint,
  /// which was compared before it was written, or to the beginning, and do the steps again.
  private mutating func goBack() throws(CollectiveFailure) -> RunOutcome {
    progress.enter(.loading)
    let (problem, spoiled) = (records.problem, state.step)
    reportLine = []
    step.hash.wait()
    let hasState = try state.fromRankZero(communicator) { () throws(ProgramFailure) in try disk.goBack() }
    try state.share(isInitial: !hasState, seed: configuration.seed, communicator)
    step.forgetMemory()
    progress.finished(step: state.step)
    progress.savedStep = hasState ? state.step : nil
    let place = hasState ? "the checkpoint of step \(state.step)" : "the beginning"
    let mayReturn = returns.mayReturn(to: state.step)
    try communicator.onRankZero { () throws(ProgramFailure) in
      let found = "\(problem), found at step \(spoiled): a memory or a processor there is failing"
      guard mayReturn else {
        throw ProgramFailure(
          .internalFault,
          "\(found). The run has gone back to \(place) \(Returns.limit) times and ends. Leave that host out and run the same command "
            + "again: it resumes from there.")
      }
      log("warning: \(found). All ranks go back to \(place) and do the steps again.")
    }
    return try validateIfMissing()
  }

  /// Writes a checkpoint, or notes that this one is the best so far. What the disk refuses is said and tried again at the
  /// next one, unless it must not fail or has failed too often.
  private func save(_ validation: EvaluationReport? = nil, mayFail: Bool) throws(CollectiveFailure) {
    progress.enter(.checkpoint)
    let saved = try state.fromRankZero(communicator) { () throws(ProgramFailure) in
      if let validation {
        guard disk.isBest(validation) else { return false }
      }
      guard try disk.save(best: validation, mayFail: mayFail) else { return false }
      if validation != nil { log("best \(configuration.monitor) so far") }
      return true
    }
    if saved { progress.savedStep = state.step }
  }
}
