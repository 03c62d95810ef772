import Checkpoints
import Evaluation
import InteractionData
import SystemSupport

/// Everything that a training run keeps on disk. Rank 0 alone calls it; the other ranks hold one that stays closed.
final class RunDisk {
  enum Start: String {
    case fresh, resumed
    /// All steps are done, the final evaluation is not.
    case evaluating
    case finished
  }

  let run: RunFolder
  private let dataset: Dataset
  private let configuration: RunConfiguration
  private let state: ModelState
  private var lock: RunLock?
  private var metrics: MetricsLog?
  private(set) var best: TrainerState.Best?
  /// Step of the newest checkpoint that this run has written or gone on from.
  private var savedStep: Int?
  /// The checkpoint that this run has gone on from, perhaps of another folder.
  private var origin: String?
  /// Checkpoints in a row that the disk refused.
  private var failures = 0
  private var failedStep: Int?
  private let log: (String) -> Void

  init(
    _ path: String, dataset: Dataset, configuration: RunConfiguration, state: ModelState, log: @escaping (String) -> Void
  ) {
    run = RunFolder(path)
    self.dataset = dataset
    self.configuration = configuration
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

  /// Takes the run folder and loads the state to go on from, if there is one.
  func open(_ resume: ResumeMode) throws(Failure) -> Start {
    try run.create()
    lock = try RunLock(run, log: log)
    let checkpoint = try checkpoint(resume)
    guard let checkpoint else {
      try run.create(configuration: configuration.yaml)
      metrics = try MetricsLog(run.metricsPath, resumingAfter: nil)
      return .fresh
    }
    try requireSameRun(checkpoint.state, checkpoint.path)
    try load(checkpoint)
    origin = checkpoint.path
    if let recorded = checkpoint.state.best, recorded.step >= 0,
      FileSystem.kind(path(ofStep: recorded.step)) == .directory
    {
      best = recorded
      // `best` may name a later checkpoint that was found damaged.
      try run.setBest(step: recorded.step)
    }
    if state.step >= configuration.trainingSteps && hasTestEvaluation() { return .finished }
    try run.create(configuration: configuration.yaml)
    metrics = try MetricsLog(run.metricsPath, resumingAfter: state.step)
    log("going on from \(checkpoint.path): \(state.step) of \(configuration.trainingSteps) steps are done")
    return state.step >= configuration.trainingSteps && (hasValidation || !configuration.holdsOutValidation) ? .evaluating : .resumed
  }

  /// Puts state and metrics.jsonl back to the newest whole checkpoint, or to the one that this run has gone on from. Returns false
  /// where there is neither: then only metrics.jsonl is put back.
  func goBack() throws(Failure) -> Bool {
    var checkpoint = try run.newestGood(log: log)
    if checkpoint == nil, let origin { checkpoint = try CheckpointReader.open(origin, withMoments: true) }
    if let checkpoint { try load(checkpoint) }
    metrics = nil
    metrics = try MetricsLog(run.metricsPath, resumingAfter: checkpoint?.state.step)
    return checkpoint != nil
  }

  /// Whether metrics.jsonl has the validation of the present step.
  var hasValidation: Bool {
    MetricsLog.hasEvaluation(of: EvaluationSplit.validation.rawValue, step: state.step, in: run.metricsPath)
  }

  private func load(_ checkpoint: CheckpointReader) throws(Failure) {
    checkpoint.copyParameters(into: state.parameters)
    checkpoint.copyMoments(first: state.firstMoment, second: state.secondMoment)
    state.step = checkpoint.state.step
    state.skippedSteps = checkpoint.state.skippedSteps
    savedStep = state.step
  }

  private func checkpoint(_ resume: ResumeMode) throws(Failure) -> CheckpointReader? {
    let existing = try run.checkpoints()
    switch resume {
    case .never:
      if let newest = existing.first {
        throw Failure(
          .usage,
          "\(run.path) has checkpoints (the newest is \(newest)) and --resume never would write over them. "
            + "Name another folder with --run, remove this one, or leave out --resume to go on.")
      }
      return nil
    case .auto: return try run.newestGood(log: log)
    case .checkpoint(let path):
      let checkpoint = try CheckpointReader.open(RunFolder.resolve(path), withMoments: true)
      let later = existing.filter { $0 > FileSystem.lastComponent(of: checkpoint.path) }
      if let newest = later.first {
        throw Failure(
          .usage,
          "\(run.path) has later checkpoints (the newest is \(newest)) than \(checkpoint.path); going on from there would "
            + "mix two runs. Name another folder with --run.")
      }
      return checkpoint
    }
  }

  private func requireSameRun(_ recorded: TrainerState, _ path: String) throws(Failure) {
    let startAnew = "Go on with the old values, or start anew in another folder (--run)."
    if recorded.dataFingerprint != dataset.fingerprint {
      throw Failure(
        .usage,
        "\(path) was trained on other data (\(recorded.dataName), fingerprint \(recorded.dataFingerprint.prefix(12))) than "
          + "\(dataset.name) (\(dataset.fingerprint.prefix(12))). Give the same data, or start anew in another folder (--run)."
      )
    }
    if recorded.numericsVersion != ProgramVersion.numerics {
      throw Failure(
        .usage,
        "\(path) was made with numerics version \(recorded.numericsVersion) (program \(recorded.programVersion)), this "
          + "program has \(ProgramVersion.numerics): the run could not go on with the same bits. Use that program. \(startAnew)"
      )
    }
    var refused: [String] = []
    for (key, old, new) in configuration.differences(from: recorded.configuration) {
      if key.mayChangeOnResume {
        log("\(key.name) changes from \(old) to \(new)")
      } else {
        refused.append("\(key.name) was \(old) and is \(new)")
      }
    }
    if !refused.isEmpty {
      throw Failure(
        .usage, "\(path) belongs to another configuration: \(refused.joined(separator: "; ")). \(startAnew)")
    }
  }

  private func hasTestEvaluation() -> Bool {
    // The last line: an earlier one may be of a run that has since been given more steps.
    guard let bytes = try? FileSystem.read(run.metricsPath), bytes.last == UInt8(ascii: "\n") else { return false }
    let last = String(decoding: bytes, as: UTF8.self).split(separator: "\n").last ?? ""
    return last.contains("\"split\"") && last.contains("\"test\"")
  }

  private func path(ofStep step: Int) -> String { "\(run.checkpointsPath)/\(CheckpointName.folder(step: step))" }

  /// A line of metrics.jsonl. One that the disk refuses is said loudly and kept until the next line or checkpoint.
  func append(_ line: [(key: String, value: MetricValue)]) {
    do throws(Failure) { try metrics?.append(line) } catch {
      log("warning: \(error.message). Training goes on; the lines are kept and written as soon as the disk takes them.")
    }
  }

  /// A line an evaluation.
  func append(_ report: EvaluationReport) {
    var line: [(key: String, value: MetricValue)] = [
      ("step", .int(report.step)), ("split", .string(report.split.rawValue)), ("users", .int(report.users)),
    ]
    line += report.metrics.map { ($0.key, .double($0.value)) }
    append(line)
  }

  /// Forces metrics.jsonl to the disk, at the end of a run.
  func finish() throws(Failure) { try metrics?.sync() }

  /// Whether the monitored metric is better than ever before.
  func isBest(_ report: EvaluationReport) -> Bool {
    guard let score = report.value(configuration.monitor), score.isFinite else { return false }
    guard let best else { return true }
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
      log("warning: \(error.message); \(count), training goes on")
      return false
    }
  }

  private func save(best report: EvaluationReport?) throws(Failure) {
    var newBest = best
    if let report, let score = report.value(configuration.monitor) {
      newBest = TrainerState.Best(step: state.step, score: score, metric: configuration.monitor)
    } else if savedStep == state.step {
      return
    }
    do throws(Failure) { try metrics?.sync() } catch {
      throw Failure(
        error.exitCode, "checkpoint of step \(state.step) not written, the earlier ones are unharmed: \(error.message)")
    }
    let writer = CheckpointWriter(
      run: run, configuration: state.configuration, itemIDs: dataset.itemIDs, itemCounts: dataset.itemCounts,
      keepCheckpoints: configuration.keepCheckpoints)
    try writer.write(
      state: TrainerState(
        step: state.step, seed: configuration.seed, best: newBest, skippedSteps: state.skippedSteps,
        dataName: dataset.name, dataFingerprint: dataset.fingerprint, numericsVersion: ProgramVersion.numerics,
        programVersion: ProgramVersion.current, configuration: configuration.values),
      parameters: UnsafeBufferPointer(state.parameters), firstMoment: UnsafeBufferPointer(state.firstMoment),
      secondMoment: UnsafeBufferPointer(state.secondMoment))
    savedStep = state.step
    best = newBest
    if report != nil { try run.setBest(step: state.step) }
  }

  /// Loads the parameters of the best checkpoint, where there is one that is not the present state.
  func loadBest() throws(Failure) {
    guard let best, best.step != state.step else { return }
    let path = self.path(ofStep: best.step)
    let checkpoint = try CheckpointReader.open(path)
    guard checkpoint.layout == state.layout else {
      throw Failure(.badData, "\(path) is a checkpoint of another model: it does not belong to this run.")
    }
    checkpoint.copyParameters(into: state.parameters)
    state.step = checkpoint.state.step
  }
}
