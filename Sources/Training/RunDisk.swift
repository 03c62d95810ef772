import Checkpoints
import Evaluation
import InteractionData
import SystemSupport

/// Everything that a training run keeps on disk. Rank 0 alone calls it; the other ranks hold one that stays closed.
final class RunDisk {
  enum Start: String {
    case fresh, resumed
    /// At step 0 with another model's parameters, which are not on this run's disk yet.
    case begun
    /// All steps are done, the final evaluation is not.
    case evaluating
    case finished
  }

  let run: RunFolder
  let dataset: Dataset
  let configuration: RunConfiguration
  let state: ModelState
  private let arithmetic: [String: String]
  private var lock: RunLock?
  private var metrics: MetricsLog?
  private var events: TensorBoardLog?
  private(set) var best: TrainerState.Best?
  /// A new best state that the disk has refused, as a copy: nothing later is written before it.
  private var refusedBest: (state: ModelState, best: TrainerState.Best)?
  /// Step of the newest checkpoint that this run has written or gone on from.
  private var savedStep: Int?
  /// The checkpoint that this run has gone on from, perhaps of another folder.
  private var origin: String?
  /// Whether the state was loaded from this folder.
  private var isOwn = false
  /// Checkpoints in a row that the disk refused.
  private var failures = 0
  private var failedStep: Int?
  /// Seconds of training that the checkpoint records, and since when more are counted.
  private var earlierSeconds = 0.0
  private let clock = ContinuousClock()
  private lazy var opened = clock.now
  let log: (String) -> Void

  init(
    _ path: String, dataset: Dataset, configuration: RunConfiguration, arithmetic: [String: String], state: ModelState,
    log: @escaping (String) -> Void
  ) {
    run = RunFolder(path)
    self.dataset = dataset
    self.configuration = configuration
    self.arithmetic = arithmetic
    self.state = state
    self.log = log
  }

  /// Some users as the data names them, for a message.
  func userNames(_ users: [Int]) -> String {
    let names = users.prefix(5).map { user in
      user < dataset.userIDs.count ? String(decoding: dataset.userIDs[user], as: UTF8.self) : "number \(user)"
    }
    return names.joined(separator: ", ") + (users.count > names.count ? " and \(users.count - names.count) more" : "")
  }

  /// Takes the run folder and loads the state to resume from, if there is one.
  func open(_ resume: ResumeMode) throws(Failure) -> Start {
    _ = opened
    // Before anything is written, so that a model that cannot be used leaves nothing behind.
    var beginning = try isNew(resume) ? begin() : nil
    try run.create()
    lock = try RunLock(run, log: log)
    let checkpoint = try checkpoint(resume)
    guard let checkpoint else {
      if beginning == nil { beginning = try begin() }
      try run.create(configuration: configuration.yaml)
      try openLogs(resumingAfter: nil)
      guard let beginning else { return .fresh }
      log(beginning)
      return .begun
    }
    try requireSameRun(checkpoint.state, checkpoint.path)
    if let initial = configuration.initialCheckpoint {
      log("\(initial) (init_checkpoint) is not read: the run has a checkpoint of its own, \(checkpoint.path)")
    }
    try load(checkpoint)
    origin = checkpoint.path
    earlierSeconds = checkpoint.state.trainedSeconds
    let isOver = state.step >= configuration.trainingSteps || earlyEnd != nil
    if isOver && (configuration.holdout == .none || hasTestEvaluation()) { return .finished }
    try run.create(configuration: configuration.yaml)
    try openLogs(resumingAfter: state.step)
    log("resuming from \(checkpoint.path): \(state.step) of \(configuration.trainingSteps) steps are done")
    return isOver && !(configuration.holdout == .testAndValidation && lacksValidation) ? .evaluating : .resumed
  }

  /// Why the run ends before its last step, if it does: at the present step, whose validation is done.
  var earlyEnd: String? {
    if isOutOfTime {
      return "\(rounded(trainedSeconds / 60, 1)) minutes of training are over (max_minutes)"
    }
    guard configuration.patience > 0 && configuration.holdout == .testAndValidation else { return nil }
    // Validations are at multiples of the interval: how many have passed since the best one follows from its step alone.
    let interval = configuration.resolvedEvaluationInterval
    let since = state.step / interval - (best?.step ?? 0) / interval
    return since >= configuration.patience ? "\(since) validations in a row without a better \(configuration.monitor) (patience)" : nil
  }

  /// On rank 0; false elsewhere, since nothing is open there.
  var isOutOfTime: Bool {
    configuration.maximumMinutes > 0 && lock != nil && trainedSeconds >= configuration.maximumMinutes * 60
  }

  /// Until `max_minutes` are over; on rank 0.
  var secondsLeft: Double { configuration.maximumMinutes > 0 ? configuration.maximumMinutes * 60 - trainedSeconds : .infinity }

  private var trainedSeconds: Double { earlierSeconds + (clock.now - opened) / .seconds(1) }

  /// Puts state and metrics.jsonl back to the newest whole checkpoint, or to the one that this run has gone on from. Returns false
  /// where there is neither: then only metrics.jsonl is put back.
  func goBack() throws(Failure) -> Bool {
    var checkpoint = try run.newestGood(log: log)
    if checkpoint == nil, let origin { checkpoint = try CheckpointReader.open(origin, withMoments: true) }
    var isBegun = false
    if let checkpoint {
      try load(checkpoint)
    } else {
      (best, savedStep) = (nil, nil)
      isBegun = try begin() != nil
    }
    try openLogs(resumingAfter: checkpoint?.state.step)
    return checkpoint != nil || isBegun
  }

  /// Opens metrics.jsonl, and TensorBoard's events where they are wanted; what they say of steps after `step` is void.
  private func openLogs(resumingAfter step: Int?) throws(Failure) {
    metrics = try MetricsLog(run.metricsPath, resumingAfter: step)
    if configuration.writesTensorBoard { events = try TensorBoardLog(run.tensorBoardPath, resumingAfter: step ?? 0) }
  }

  /// Whether metrics.jsonl lacks the validation of the present step, which is that of one of this folder's checkpoints.
  var lacksValidation: Bool {
    savedStep == state.step && isOwn
      && !MetricsLog.hasEvaluation(of: EvaluationSplit.validation.rawValue, step: state.step, in: run.metricsPath)
  }

  private func load(_ checkpoint: CheckpointReader) throws(Failure) {
    checkpoint.copyParameters(into: state.parameters)
    checkpoint.copyMoments(first: state.firstMoment, second: state.secondMoment)
    state.step = checkpoint.state.step
    state.skippedSteps = checkpoint.state.skippedSteps
    savedStep = state.step
    isOwn = FileSystem.identity(checkpoint.path + "/..") == FileSystem.identity(run.checkpointsPath)
    _ = try settleBest(isOwn ? checkpoint.state.best : nil)
  }

  /// Whether the run folder has nothing to resume from.
  private func isNew(_ resume: ResumeMode) throws(Failure) -> Bool {
    if case .checkpoint = resume { return false }
    guard FileSystem.kind(run.checkpointsPath) == .directory else { return true }
    return try FileSystem.list(run.checkpointsPath).isEmpty
  }

  private func checkpoint(_ resume: ResumeMode) throws(Failure) -> CheckpointReader? {
    let existing = try run.checkpoints()
    switch resume {
    case .never:
      if let newest = existing.first {
        throw Failure(
          .usage,
          "\(run.path) has checkpoints (the newest is \(newest)) and --resume never would write over them. "
            + "Name another folder with --run, remove this one, or leave out --resume to continue.")
      }
      return nil
    case .auto: return try run.newestGood(log: log)
    case .checkpoint(let path):
      let checkpoint = try RunFolder.open(path, withMoments: true, log: log)
      let later = existing.filter { $0 > FileSystem.lastComponent(of: checkpoint.path) }
      if let newest = later.first {
        throw Failure(
          .usage,
          "\(run.path) has later checkpoints (the newest is \(newest)) than \(checkpoint.path); resuming from there would "
            + "mix two runs. Name another folder with --run.")
      }
      return checkpoint
    }
  }

  private func requireSameRun(_ recorded: TrainerState, _ path: String) throws(Failure) {
    let startAnew = "Continue with the old values, or start a new run in another folder (--run)."
    if recorded.dataFingerprint != dataset.fingerprint {
      throw Failure(
        .usage,
        "\(path) was trained on other data (\(recorded.dataName), fingerprint \(recorded.dataFingerprint.prefix(12))) than "
          + "\(dataset.name) (\(dataset.fingerprint.prefix(12))). Give the same data, or start a new run in another folder (--run)."
      )
    }
    if recorded.numericsVersion != ProgramVersion.numerics {
      throw Failure(
        .usage,
        "\(path) was made with numerics version \(recorded.numericsVersion) (program \(recorded.programVersion)), this "
          + "program has \(ProgramVersion.numerics): the run could not continue with the same bits. Use that program. \(startAnew)"
      )
    }
    var refused: [String] = []
    for (key, old, new) in configuration.differences(from: recorded.configuration) {
      if key.mayChangeOnResume {
        let rates = LearningRateSchedule(configuration).change(of: key, from: old, at: recorded.step)
        log("\(key.name) changes from \(old) to \(new)\(rates)")
      } else {
        refused.append("\(key.name) was \(old) and is \(new)")
      }
    }
    if !refused.isEmpty {
      throw Failure(
        .usage, "\(path) belongs to another configuration: \(refused.joined(separator: "; ")). \(startAnew)")
    }
    if let difference = ArithmeticRecord.difference(from: recorded.arithmetic, to: arithmetic) {
      log("warning: \(path) was computed elsewhere, so the run will not have the bits of one that stayed there: \(difference)")
    }
  }

  private func hasTestEvaluation() -> Bool {
    // The last line: an earlier one may be of a run that has since been given more steps.
    guard let bytes = try? FileSystem.read(run.metricsPath), bytes.last == UInt8(ascii: "\n") else { return false }
    let last = String(decoding: bytes, as: UTF8.self).split(separator: "\n").last ?? ""
    return last.contains("\"split\"") && last.contains("\"test\"")
  }

  /// A line of metrics.jsonl, and TensorBoard's events.
  func append(_ line: [(key: String, value: MetricValue)]) {
    tryToWrite { () throws(Failure) in try metrics?.append(line) }
    tryToWrite { () throws(Failure) in try events?.append(line) }
  }

  /// What the disk refuses is said loudly and kept until the next line or checkpoint.
  private func tryToWrite(_ lines: () throws(Failure) -> Void) {
    do throws(Failure) { try lines() } catch {
      log("warning: \(error.message). Training continues; these lines are kept in memory and written as soon as the disk accepts them.")
    }
  }

  /// A line per evaluation.
  func append(_ report: EvaluationReport) {
    var line: [(key: String, value: MetricValue)] = [
      ("step", .int(report.step)), ("split", .string(report.split.rawValue)), ("users", .int(report.users)),
    ]
    if let all = report.sampledFrom { line.append(("users_of", .int(all))) }
    line += report.metrics.map { ($0.key, .double($0.value)) }
    append(line)
  }

  /// Forces metrics.jsonl and TensorBoard's events to the disk, at the end of a run.
  func finish() throws(Failure) {
    try metrics?.sync()
    try events?.sync()
  }

  /// Whether the monitored metric is better than ever before.
  func isBest(_ report: EvaluationReport) -> Bool {
    guard let score = report.value(configuration.monitor), score.isFinite else { return false }
    guard let best = refusedBest?.best ?? best else { return true }
    return score > best.score
  }

  /// Writes a checkpoint of the state unless it is there already. With `best`, it becomes the best one. Returns whether the
  /// state is on the disk.
  ///
  /// Where it may fail, a failure is said and counted, and thrown only after `checkpoint_failures` in a row.
  func save(best report: EvaluationReport?, mayFail: Bool) throws(Failure) -> Bool {
    do throws(Failure) {
      try save(best: report)
      failures = 0
      return true
    } catch {
      // The second try of a step, for what its validation has found, is no second failure.
      if failedStep == state.step && mayFail { return false }
      if failedStep != state.step { failures += 1 }
      failedStep = state.step
      let count = "failure \(failures) of \(configuration.checkpointFailures) in a row (checkpoint_failures)"
      guard mayFail else { throw error }
      guard failures < configuration.checkpointFailures else {
        throw Failure(
          error.exitCode, "\(error.message); \(count): the run stops. Make room or mend the disk, and run the same command again.")
      }
      log("warning: \(error.message); \(count), training continues")
      return false
    }
  }

  private func save(best report: EvaluationReport?) throws(Failure) {
    var newBest: TrainerState.Best?
    if let report, let score = report.value(configuration.monitor) {
      newBest = TrainerState.Best(step: state.step, score: score, metric: configuration.monitor)
    } else if savedStep == state.step {
      return
    }
    do throws(Failure) {
      do throws(Failure) { try metrics?.sync() } catch {
        throw Failure(
          error.exitCode, "checkpoint of step \(state.step) was not written; earlier checkpoints are intact: \(error.message)")
      }
      if let newBest, savedStep == state.step, (try? run.note(newBest, inCheckpointOfStep: state.step)) != nil {
        // It is on the disk already, without knowing yet what it is.
        best = newBest
        try pointToBest()
        refusedBest = nil
        return
      }
      if let refused = refusedBest, newBest == nil {
        try write(refused.state, best: refused.best)
        log("the state of step \(refused.best.step), the best so far, is written")
        refusedBest = nil
      }
      try write(state, best: newBest ?? best)
      refusedBest = nil
    } catch {
      if let newBest, best != newBest { keep(newBest) }
      throw error
    }
  }

  private func write(_ state: ModelState, best: TrainerState.Best?) throws(Failure) {
    let writer = CheckpointWriter(
      run: run, configuration: state.configuration, itemIDs: dataset.itemIDs, itemCounts: dataset.itemCounts,
      keepCheckpoints: configuration.keepCheckpoints)
    try Activity.during("writing the checkpoint of step \(state.step)") { () throws(Failure) in try write(state, best: best, writer) }
    savedStep = state.step
    self.best = best
    try pointToBest()
  }

  private func write(_ state: ModelState, best: TrainerState.Best?, _ writer: CheckpointWriter) throws(Failure) {
    try writer.write(
      state: TrainerState(
        step: state.step, seed: configuration.seed, best: best, skippedSteps: state.skippedSteps,
        trainedSeconds: configuration.maximumMinutes > 0 ? trainedSeconds : 0,
        dataName: dataset.name, dataFingerprint: dataset.fingerprint, numericsVersion: ProgramVersion.numerics,
        programVersion: ProgramVersion.current, arithmetic: arithmetic, configuration: configuration.values),
      parameters: UnsafeBufferPointer(state.parameters), firstMoment: UnsafeBufferPointer(state.firstMoment),
      secondMoment: UnsafeBufferPointer(state.secondMoment))
  }

  /// Keeps a copy of the state, which the disk has refused although it is the best so far: training is going to change it.
  private func keep(_ best: TrainerState.Best) {
    do throws(Failure) {
      let copy: ModelState
      if let refusedBest { copy = refusedBest.state } else { copy = try ModelState(state.configuration) }
      copy.copy(state)
      refusedBest = (copy, best)
      log("the state of step \(best.step), the best so far, is kept in memory, and written before any later one")
    } catch {
      refusedBest = nil
      log("warning: the state of step \(best.step), the best so far, is lost: the disk refuses it, and \(error.message)")
    }
  }

  // MARK: - The best checkpoint

  /// Makes the file `best` say what `best` is.
  private func pointToBest() throws(Failure) {
    var named: String?
    do throws(Failure) { named = try run.best() } catch { log("\(error.message); it is repaired") }
    guard let best else { return try run.removeBest() }
    if named != CheckpointName.folder(step: best.step) { try run.setBest(step: best.step) }
  }

  /// Settles which checkpoint is the best: the recorded one where it is whole, else that of the best other validation up to this
  /// step. A damaged one is named and left untouched.
  ///
  /// Returns it, opened; nil where it is the present state, or where there is none.
  private func settleBest(_ recorded: TrainerState.Best?) throws(Failure) -> CheckpointReader? {
    best = recorded
    guard let recorded, recorded.step != state.step else {
      try pointToBest()
      return nil
    }
    var checkpoint = openBest(recorded)
    if checkpoint == nil {
      best = nil
      let existing = Set(try run.checkpoints())
      for other in run.validations(of: configuration.monitor)
      where other.step <= state.step && other.step != recorded.step && existing.contains(CheckpointName.folder(step: other.step)) {
        if other.step != state.step {
          checkpoint = openBest(other)
          if checkpoint == nil { continue }
        }
        best = other
        break
      }
      log(
        best.map { "the best checkpoint is now that of step \($0.step), \($0.metric) \(rounded($0.score, 4))" }
          ?? "warning: there is no best checkpoint any more; the next validation chooses one")
    }
    try pointToBest()
    return checkpoint
  }

  private func openBest(_ best: TrainerState.Best) -> CheckpointReader? {
    let checkpoint = run.firstGood(of: [CheckpointName.folder(step: best.step)], withMoments: false, log: log)
    guard let checkpoint, checkpoint.layout != state.layout else { return checkpoint }
    log("\(checkpoint.path) is a checkpoint of another model: it does not belong to this run")
    return nil
  }

  /// Loads the parameters of the best checkpoint, where there is one that is not the present state.
  func loadBest() throws(Failure) {
    guard let checkpoint = try settleBest(best) else { return }
    checkpoint.copyParameters(into: state.parameters)
    state.step = checkpoint.state.step
  }
}
