import BERT4RecModel
import Checkpoints
import Communication
import Evaluation
import InteractionData
import Masking
import StallDetection
import SystemSupport

/// A training run from the command line's words to the last evaluation: settles configuration, data, run folder and the place to
/// resume from, the same on every rank, then hands over to `TrainingLoop`.
///
/// In a program of one's own:
/// ```swift
/// let communicator = try makeCommunicator()
/// var settings = RunSettings()
/// settings.data = "ml-1m.txt"
/// settings.maximumSequenceLength = 50
/// let configuration = try RunConfiguration(settings)
/// try TrainingRun(configuration, communicator: communicator, hooks: [MedianRank()]).run()
/// ```
/// `hooks` watch every evaluation (`EvaluationHook` shows how one is written); their metrics go into reports and metrics.jsonl. The test
/// behind a split by time has lists in place of ranks, and calls none.
/// `trainingHooks` watch every step, and can save or stop (`TrainingHook`).
public final class TrainingRun {
  /// How a run ends.
  public typealias Outcome = RunOutcome

  /// What is asked for: in words that have to be settled first, or checked already.
  private enum Request {
    case words(TrainingOptions)
    case configuration(RunConfiguration)
  }

  private let request: Request
  private let runFolder: String?
  private let resume: ResumeMode
  private let stopAfter: Int?
  private let evaluatesTestItems: Bool
  private let lines: TrainingLines
  private let context: RankContext
  private let hooks: [any EvaluationHook]
  private let trainingHooks: [any TrainingHook]
  /// Where results go, on rank 0.
  private let output: (String) -> Void

  /// A run as the command line asks for it; where it is resumed, what the options leave open is as its folder says.
  package convenience init(
    _ options: TrainingOptions, communicator: any Communicator, hooks: [any EvaluationHook] = [],
    trainingHooks: [any TrainingHook] = [],
    log: @escaping (String) -> Void = { printError($0) }, output: @escaping (String) -> Void = { printResult($0) }
  ) {
    self.init(
      .words(options), runFolder: options.runFolder, resume: options.resume, stopAfter: options.stopAfter,
      evaluatesTestItems: options.evaluatesTestItems, lines: options.lines, communicator, hooks, trainingHooks, log, output)
  }

  /// A run of just this configuration, that of rank 0; where it is resumed, one that does not fit is refused.
  ///
  /// - Parameters:
  ///   - runFolder: nil: `runs/NAME` in the current folder, NAME from the data set.
  ///   - stopAfter: save and stop after so many updates.
  ///   - lines: what is logged about steps.
  ///   - log: where lines of what goes on go, on rank 0; nil: to standard error.
  ///   - output: where results go, on rank 0; nil: to standard output.
  public convenience init(
    _ configuration: RunConfiguration, runFolder: String? = nil, resume: ResumeMode = .auto, stopAfter: Int? = nil,
    lines: TrainingLines = .periodic, communicator: any Communicator, hooks: [any EvaluationHook] = [],
    trainingHooks: [any TrainingHook] = [],
    log: ((String) -> Void)? = nil, output: ((String) -> Void)? = nil
  ) {
    self.init(
      .configuration(configuration), runFolder: runFolder, resume: resume, stopAfter: stopAfter, evaluatesTestItems: true, lines: lines,
      communicator, hooks, trainingHooks, log ?? { printError($0) }, output ?? { printResult($0) })
  }

  private init(
    _ request: Request, runFolder: String?, resume: ResumeMode, stopAfter: Int?, evaluatesTestItems: Bool,
    lines: TrainingLines, _ communicator: any Communicator, _ hooks: [any EvaluationHook], _ trainingHooks: [any TrainingHook],
    _ log: @escaping (String) -> Void, _ output: @escaping (String) -> Void
  ) {
    self.request = request
    self.runFolder = runFolder
    self.resume = resume
    self.stopAfter = stopAfter
    self.evaluatesTestItems = evaluatesTestItems
    self.lines = lines
    self.hooks = hooks
    self.trainingHooks = trainingHooks
    context = RankContext(communicator, log: communicator.rank == 0 ? { line in Liveness.outside { log(line) } } : { _ in })
    self.output = communicator.rank == 0 ? { line in Liveness.outside { output(line) } } : { _ in }
  }

  /// Throws the same failure on every rank, unless a message between ranks fails.
  @discardableResult
  public func run() throws(CollectiveFailure) -> Outcome {
    // A signal that comes while data is read waits for the first step.
    StopSignals.install()
    let configuration = try RunSetup.configuration(context) { () throws(ProgramFailure) in
      switch request {
      case .words(let options): try options.configurationOfRun(log: context.log)
      case .configuration(let configuration): configuration
      }
    }
    let watchdog = try Watchdog(
      context.progress, limit: configuration.stallTimeout, communicator: communicator, isEnding: { StopSignals.isTerminated })
    // The ranks' leave-taking is watched again; what the caller does until then is not this run's.
    defer { watchdog.pause() }
    progress.enter(.data)
    return try run(RunSetup(configuration, context))
  }

  private func run(_ setup: RunSetup) throws(CollectiveFailure) -> Outcome {
    let (configuration, dataset, instances) = (setup.configuration, setup.dataset, setup.instances)
    progress.enter(.loading)
    let memory = try MemoryCheck.run(.training(setup, communicator), communicator)
    let state = try setup.makeState(communicator)
    let path = try communicator.broadcast(runFolder ?? "runs/\(dataset.name)")
    var arithmetic = try ArithmeticRecord.make(configuration, communicator)
    if let stored = instances.stored { arithmetic["instances"] = stored.digest }
    let disk = RunDisk(
      path, dataset: dataset, configuration: configuration, arithmetic: arithmetic, state: state, log: log)
    let start = try state.fromRankZero(communicator) { () throws(ProgramFailure) in try disk.open(resume) }
    try state.share(isInitial: start == .fresh, seed: configuration.seed, communicator)
    if start != .fresh { progress.finished(step: state.step) }
    if start != .fresh && start != .begun { progress.savedStep = state.step }

    let evaluation = TrainingEvaluation(
      setup, state: state, hooks: hooks, context: context)
    if start == .finished {
      log("\(path) is finished: \(state.step) of \(configuration.trainingSteps) steps are done.")
      log(
        "To train further: --set num_train_steps=N with a larger N (or a larger patience or max_minutes, where these ended it). To start a new run, "
          + "give another folder with --run.")
      return .finished
    }
    if start != .evaluating {
      let step = try TrainingStep(
        state: state, configuration: configuration, instances: instances, threads: setup.threads, context: context)
      for line in RunDescription.lines(setup, state, step, communicator) { log(line) }
      log(memory)
      if let line = try idleCores(setup, step) { log(line) }
      // Moments that are kept have passed their first steps.
      let hasNewMoments = start == .fresh || (start == .begun && configuration.initialMoments == .zero)
      if hasNewMoments { warnOfLargeUpdates(configuration) }
      if start == .begun { try saveBeginning(disk, state) }
      var loop = TrainingLoop(
        configuration: configuration, stopAfter: stopAfter, itemCounts: dataset.itemCounts, state: state, step: step,
        evaluation: evaluation, disk: disk, hooks: trainingHooks, lines: lines, context: context)
      let first = state.step
      let outcome = try loop.run()
      if let work = loop.ownWork { log(work) }
      if outcome == .stopped { return .stopped }
      log("trained \(state.step - first) steps in \(loop.elapsed)")
    }
    if configuration.holdout == .none {
      output("holdout is none: the model has seen every item, so there is nothing to test it on")
      output("checkpoints: \(disk.run.checkpointsPath)")
    } else if evaluatesTestItems {
      return try finalEvaluation(evaluation, state, disk, configuration)
    }
    return .finished
  }

  private var communicator: any Communicator { context.communicator }
  private var progress: RankProgress { context.progress }
  private func log(_ line: String) { context.log(line) }

  // MARK: - Beginning

  /// Saves step 0 of a run that begins with another model's parameters: from then on it does not need that model.
  private func saveBeginning(_ disk: RunDisk, _ state: ModelState) throws(CollectiveFailure) {
    progress.enter(.checkpoint)
    _ = try state.fromRankZero(communicator) { () throws(ProgramFailure) in try disk.save(best: nil, mayFail: false) }
    progress.savedStep = 0
  }

  /// A line where there are fewer gradient shards than ranks x threads could work on, on rank 0.
  private func idleCores(_ setup: RunSetup, _ step: TrainingStep) throws(CollectiveFailure) -> String? {
    let used = try communicator.gather(step.threadCount).reduce(0, +)
    let available = try communicator.gather(max(setup.threads, step.threadCount)).reduce(0, +)
    guard used < available else { return nil }
    let what = setup.configuration.threads == nil ? "cores" : "threads"
    return
      "\(used) of \(available) \(what) work: gradient_shards is \(setup.configuration.gradientShards); a new run with more of them can "
      + "use more (another number is another run, with other bits)"
  }

  private func warnOfLargeUpdates(_ configuration: RunConfiguration) {
    let peak = LearningRateSchedule(configuration).effectivePeak
    guard peak.rate > LearningRateSchedule.safeEffectiveRate else { return }
    log(
      "warning: early updates are larger than the learning rate, as Adam has no bias correction here: of \(DecimalText.rounded(peak.rate, 4)) at step "
        + "\(peak.step). Above \(LearningRateSchedule.safeEffectiveRate) models are known to learn nothing but popularity: "
        + "a lower learning_rate (it is \(configuration.learningRate)) or more num_warmup_steps (\(configuration.warmupSteps)) avoids that."
    )
  }

  // MARK: - End

  private func finalEvaluation(
    _ evaluation: TrainingEvaluation, _ state: ModelState, _ disk: RunDisk, _ configuration: RunConfiguration
  ) throws(CollectiveFailure) -> Outcome {
    state.step = try state.fromRankZero(communicator) { () throws(ProgramFailure) in
      try disk.loadBest()
      return state.step
    }
    try state.share(.parameters, communicator)
    var (report, targetReport): (EvaluationReport?, TargetReport?)
    do throws(CollectiveFailure) {
      if configuration.splitTime == nil {
        report = try evaluation.evaluate(.test)
      } else {
        targetReport = try evaluation.evaluateTargets()
      }
    } catch {
      guard error.exitCode == .stopped else { throw error }
      log(TrainingEvaluation.stopped(state, of: configuration))
      return .stopped
    }
    try communicator.onRankZero { () throws(ProgramFailure) in
      if let report { disk.append(report) }
      if let targetReport { disk.append(targetReport) }
      try disk.finish()
      for line in (report?.lines ?? []) + [report?.table ?? targetReport?.table ?? ""] { output(line) }
      let data = " --data \(configuration.data)"
      output("checkpoints: \(disk.run.checkpointsPath)")
      output("next: bert4rec-dist evaluate --checkpoint \(disk.run.path)\(data)")
      output("      bert4rec-dist recommend --checkpoint \(disk.run.path)\(data) --top-k 10")
    }
    return .finished
  }
}
