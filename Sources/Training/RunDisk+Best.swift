import Checkpoints
import Evaluation
import SystemSupport

/// The best checkpoint: which it is, the file that points to it, and a best state that the disk has refused.
extension RunDisk {
  /// Whether the monitored metric is better than ever before.
  func isBest(_ report: EvaluationReport) -> Bool {
    guard let score = report.value(configuration.monitor), score.isFinite else { return false }
    guard let best = refusedBest?.best ?? best else { return true }
    return score > best.score
  }

  /// Makes the file `best` say what `best` is.
  func pointToBest() throws(ProgramFailure) {
    var named: String?
    do throws(ProgramFailure) { named = try run.best() } catch { log("\(error.message); it is repaired") }
    guard let best else { return try run.removeBest() }
    if named != CheckpointName.folder(step: best.step) { try run.setBest(step: best.step) }
  }

  /// Settles which checkpoint is the best: the recorded one where it is whole, else that of the best other validation up to this
  /// step. A damaged one is named and left untouched.
  ///
  /// Returns it, opened; nil where it is the present state, or where there is none.
  func settleBest(_ recorded: TrainerState.Best?) throws(ProgramFailure) -> CheckpointReader? {
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
  func loadBest() throws(ProgramFailure) {
    guard let checkpoint = try settleBest(best) else { return }
    try state.overwrite(.parameters) { checkpoint.copy(.parameters, $0, to: state.parameters) }
    state.step = checkpoint.state.step
  }

  /// Keeps a copy of the state, which the disk has refused although it is the best so far: training is going to change it.
  func keep(_ best: TrainerState.Best) {
    do throws(ProgramFailure) {
      refusedBest = (try KeptState(state, inPlaceOf: refusedBest?.state), best)
      log("the state of step \(best.step), the best so far, is kept in memory, and written before any later one")
    } catch {
      refusedBest = nil
      log("warning: the state of step \(best.step), the best so far, is lost: the disk refuses it, and \(error.message)")
    }
  }
}
