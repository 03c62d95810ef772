import BERT4RecModel
import Checkpoints
import Collectives
import Evaluation
import InteractionData
import MaskedInstances
import SystemSupport

/// A training run from the command line's words to the last evaluation: settles configuration, data, run folder and the place to
/// resume from, the same on every rank, then hands over to `TrainingLoop`.
///
/// In a program of one's own:
/// ```swift
/// let communicator = try makeCommunicator()
/// var options = TrainingOptions()
/// options.data = "ml-1m.txt"
/// try TrainingRun(options, communicator: communicator, hooks: [MedianRank()]).run()
/// ```
/// `hooks` watch every evaluation (`EvaluationHook` shows how one is written); their metrics go into reports and metrics.jsonl.
/// `trainingHooks` watch every step, and can save or stop (`TrainingHook`).
public final class TrainingRun {
  public enum Outcome: Sendable, Equatable {
    case finished
    /// State saved; the same command resumes the run.
    case stopped
  }

  private let options: TrainingOptions
  private let progress = Progress()
  private let communicator: any Communicator
  private let hooks: [any EvaluationHook]
  private let trainingHooks: [any TrainingHook]
  /// Where messages go, on rank 0.
  private let log: (String) -> Void
  /// Where results go, on rank 0.
  private let output: (String) -> Void

  public init(
    _ options: TrainingOptions, communicator: any Communicator, hooks: [any EvaluationHook] = [],
    trainingHooks: [any TrainingHook] = [],
    log: @escaping (String) -> Void = { printError($0) }, output: @escaping (String) -> Void = { printResult($0) }
  ) {
    self.options = options
    self.communicator = communicator
    self.hooks = hooks
    self.trainingHooks = trainingHooks
    self.log = communicator.rank == 0 ? { line in Liveness.outside { log(line) } } : { _ in }
    self.output = communicator.rank == 0 ? { line in Liveness.outside { output(line) } } : { _ in }
  }

  /// Collective. Throws the same failure on every rank.
  @discardableResult
  public func run() throws(Failure) -> Outcome {
    // A signal that comes while data is read waits for the first step.
    StopSignals.install()
    let configuration = try RunSetup.configuration(options, mayResume: true, communicator: communicator, log: log)
    let watchdog = try Watchdog(
      progress, limit: configuration.stallTimeout, communicator: communicator, isEnding: { StopSignals.isTerminated })
    // The ranks' leave-taking is watched again; what the caller does until then is not this run's.
    defer { watchdog.pause() }
    progress.enter(.data)
    return try run(RunSetup(configuration, communicator: communicator, log: log))
  }

  private func run(_ setup: RunSetup) throws(Failure) -> Outcome {
    let (configuration, dataset, instances) = (setup.configuration, setup.dataset, setup.instances)
    progress.enter(.start)
    let memory = try MemoryCheck.run(setup.memoryPlan(communicator), communicator)
    let state = try communicator.onEveryRank { () throws(Failure) in try ModelState(setup.modelConfiguration) }
    let path = try communicator.broadcastText(options.runFolder ?? "runs/\(dataset.name)")
    let disk = RunDisk(
      path, dataset: dataset, configuration: configuration, arithmetic: try ArithmeticRecord.make(configuration, communicator),
      state: state, log: log)
    let text = try communicator.fromRankZero { () throws(Failure) in
      Array(try disk.open(options.resume).rawValue.utf8)
    }
    guard let start = RunDisk.Start(rawValue: String(decoding: text, as: UTF8.self)) else {
      preconditionFailure("rank 0 sends one of the cases")
    }
    try state.share(isInitial: start == .fresh, seed: configuration.seed, communicator)
    if start != .fresh { progress.finished(step: state.step) }
    if start != .fresh && start != .begun { progress.savedStep = state.step }

    let evaluation = TrainingEvaluation(
      dataset: dataset, configuration: configuration, state: state, threads: setup.threads, communicator: communicator,
      hooks: hooks, progress: progress)
    if start == .finished {
      log("\(path) is finished: \(state.step) of \(configuration.trainingSteps) steps are done.")
      log(
        "To train further: --set num_train_steps=N with a larger N (or a larger patience or max_minutes, where these ended it). To start a new run, "
          + "give another folder with --run.")
      return .finished
    }
    if start != .evaluating {
      let step = try TrainingStep(
        state: state, configuration: configuration, instances: instances, communicator: communicator,
        threads: setup.threads, progress: progress)
      for line in RunDescription.lines(setup, state, step, communicator) { log(line) }
      log(memory)
      if let line = try idleCores(setup, step) { log(line) }
      // Moments that are kept have passed their first steps.
      let hasNewMoments = start == .fresh || (start == .begun && configuration.initialMoments == .zero)
      if hasNewMoments { warnOfLargeUpdates(configuration) }
      if start == .begun { try saveBeginning(disk) }
      var loop = try TrainingLoop(
        configuration: configuration, stopAfter: options.stopAfter, itemCounts: dataset.itemCounts, state: state, step: step,
        evaluation: evaluation, disk: disk, hooks: trainingHooks, communicator: communicator, progress: progress, lines: options.lines,
        log: log)
      let first = state.step
      let outcome = try loop.run()
      if let work = loop.ownWork { log(work) }
      if outcome == .stopped { return .stopped }
      log("trained \(state.step - first) steps in \(loop.elapsed)")
    }
    if configuration.holdout == .none {
      output("holdout is none: the model has seen every item, so there is nothing to test it on")
      output("checkpoints: \(disk.run.checkpointsPath)")
    } else if options.evaluatesTestItems {
      return try finalEvaluation(evaluation, state, disk, configuration)
    }
    return .finished
  }

  // MARK: - Beginning

  /// Collective. Saves step 0 of a run that begins with another model's parameters: from then on it does not need that model.
  private func saveBeginning(_ disk: RunDisk) throws(Failure) {
    progress.enter(.checkpoint)
    try communicator.onRankZero { () throws(Failure) in _ = try disk.save(best: nil, mayFail: false) }
    progress.savedStep = 0
  }

  /// Collective. A line where there are fewer gradient shards than ranks x threads could work on, on rank 0.
  private func idleCores(_ setup: RunSetup, _ step: TrainingStep) throws(Failure) -> String? {
    let counts = try communicator.gather(Array("\(step.threadCount) \(max(setup.threads, step.threadCount))".utf8)).map {
      String(decoding: $0, as: UTF8.self).split(separator: " ").compactMap { Int($0) }
    }
    let (used, available) = counts.reduce((0, 0)) { ($0.0 + $1[0], $0.1 + $1[1]) }
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
      "warning: early updates are larger than the learning rate, as Adam has no bias correction here: of \(rounded(peak.rate, 4)) at step "
        + "\(peak.step). Above \(LearningRateSchedule.safeEffectiveRate) models are known to learn nothing but popularity: "
        + "a lower learning_rate (it is \(configuration.learningRate)) or more num_warmup_steps (\(configuration.warmupSteps)) avoids that."
    )
  }

  // MARK: - End

  private func finalEvaluation(
    _ evaluation: TrainingEvaluation, _ state: ModelState, _ disk: RunDisk, _ configuration: RunConfiguration
  ) throws(Failure) -> Outcome {
    try communicator.onRankZero { () throws(Failure) in try disk.loadBest() }
    state.step = try communicator.broadcastArray([state.step])[0]
    try communicator.broadcast(UnsafeMutableRawBufferPointer(state.parameters))
    let report: EvaluationReport?
    do throws(Failure) { report = try evaluation.evaluate(.test) } catch {
      guard error.exitCode == .stopped else { throw error }
      log(TrainingEvaluation.stopped(state, of: configuration))
      return .stopped
    }
    try communicator.onRankZero { () throws(Failure) in
      guard let report else { return }
      disk.append(report)
      try disk.finish()
      for line in report.lines { output(line) }
      output(report.table)
      let data = configuration.data.map { " --data \($0)" } ?? ""
      output("checkpoints: \(disk.run.checkpointsPath)")
      output("next: bert4rec-dist evaluate --checkpoint \(disk.run.path)\(data)")
      output("      bert4rec-dist recommend --checkpoint \(disk.run.path)\(data) --top-k 10")
    }
    return .finished
  }
}
