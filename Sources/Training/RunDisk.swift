import Checkpoints
import Communication
import Evaluation
import InteractionData
import SystemSupport

/// Everything that a training run keeps on disk. Rank 0 alone calls it, within the state's `fromRankZero` where it reads or writes the
/// state; the other ranks hold one that stays closed.
final class RunDisk {
  enum Start: String, Communicable {
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
  let arithmetic: [String: String]
  private var lock: RunLock?
  var metrics: MetricsLog?
  var events: TensorBoardLog?
  var best: TrainerState.Best?
  /// A new best state that the disk has refused, as a copy: nothing later is written before it.
  var refusedBest: (state: KeptState, best: TrainerState.Best)?
  /// Step of the newest checkpoint that this run has written or gone on from.
  var savedStep: Int?
  /// The checkpoint that this run has gone on from, perhaps of another folder.
  private var origin: String?
  /// The model that the run began with.
  var initialModel: String?
  /// Whether the state was loaded from this folder.
  var isOwn = false
  private var failures: CheckpointFailures
  private(set) var time = TrainedTime()
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
    failures = CheckpointFailures(limit: configuration.checkpointFailures)
  }

  /// On rank 0; false elsewhere.
  var isOpen: Bool { lock != nil }

  /// Takes the run folder and loads the state to resume from, if there is one.
  func open(_ resume: ResumeMode) throws(ProgramFailure) -> Start {
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
    time.resume(after: checkpoint.state.trainedSeconds)
    let isOver = state.step >= configuration.trainingSteps || earlyEnd != nil
    if isOver && (configuration.holdout == .none || hasTestEvaluation()) { return .finished }
    try run.create(configuration: configuration.yaml)
    try openLogs(resumingAfter: state.step)
    log("resuming from \(checkpoint.path): \(state.step) of \(configuration.trainingSteps) steps are done")
    return isOver && !(configuration.holdout == .testAndValidation && lacksValidation) ? .evaluating : .resumed
  }

  /// Puts state and metrics.jsonl back to the newest whole checkpoint, or to the one that this run has gone on from. Returns false
  /// where there is neither: then only metrics.jsonl is put back.
  func goBack() throws(ProgramFailure) -> Bool {
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

  private func load(_ checkpoint: CheckpointReader) throws(ProgramFailure) {
    for buffer in StateBuffer.allCases {
      try state.overwrite(buffer) { checkpoint.copy(buffer, $0, to: state.elements(buffer)) }
    }
    state.step = checkpoint.state.step
    state.skippedSteps = checkpoint.state.skippedSteps
    initialModel = checkpoint.state.initialModel
    savedStep = state.step
    isOwn = FileSystem.identity(checkpoint.path + "/..") == FileSystem.identity(run.checkpointsPath)
    _ = try settleBest(isOwn ? checkpoint.state.best : nil)
  }

  /// Writes a checkpoint of the state unless it is there already. With `best`, it becomes the best one. Returns whether the
  /// state is on the disk.
  ///
  /// Where it may fail, a failure is said and counted, and thrown only after `checkpoint_failures` in a row.
  func save(best report: EvaluationReport?, mayFail: Bool) throws(ProgramFailure) -> Bool {
    do throws(ProgramFailure) {
      try save(best: report)
      failures.succeeded()
      return true
    } catch {
      if let line = try failures.note(error, step: state.step, mayFail: mayFail) { log(line) }
      return false
    }
  }

  private func save(best report: EvaluationReport?) throws(ProgramFailure) {
    var newBest: TrainerState.Best?
    if let report, let score = report.value(configuration.monitor) {
      newBest = TrainerState.Best(step: state.step, score: score, metric: configuration.monitor)
    } else if savedStep == state.step {
      return
    }
    do throws(ProgramFailure) {
      do throws(ProgramFailure) { try metrics?.sync() } catch {
        throw ProgramFailure(
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

  private func write(_ state: some SavedState, best: TrainerState.Best?) throws(ProgramFailure) {
    let writer = CheckpointWriter(
      run: run, configuration: self.state.configuration, itemIDs: dataset.itemIDs, itemCounts: dataset.itemCounts,
      keepCheckpoints: configuration.keepCheckpoints)
    try Activity.during("writing the checkpoint of step \(state.step)") { () throws(ProgramFailure) in try write(state, best: best, writer)
    }
    savedStep = state.step
    self.best = best
    try pointToBest()
  }

  private func write(_ state: some SavedState, best: TrainerState.Best?, _ writer: CheckpointWriter) throws(ProgramFailure) {
    try writer.write(
      state: TrainerState(
        step: state.step, seed: configuration.seed, best: best, skippedSteps: state.skippedSteps,
        trainedSeconds: configuration.maximumMinutes > 0 ? time.seconds : 0,
        dataName: dataset.name, dataFingerprint: dataset.fingerprint, numericsVersion: ProgramVersion.numerics(configuration.loss.kind),
        programVersion: ProgramVersion.current, arithmetic: arithmetic, configuration: configuration.values,
        initialModel: initialModel)
    ) { (buffer, take) throws(ProgramFailure) in try state.read(buffer, take) }
  }
}
