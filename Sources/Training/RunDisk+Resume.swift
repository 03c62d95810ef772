import Checkpoints
import SystemSupport

/// From which checkpoint a run is resumed, and whether it is the same run.
extension RunDisk {
  /// Whether the run folder has nothing to resume from.
  func isNew(_ resume: ResumeMode) throws(ProgramFailure) -> Bool {
    if case .checkpoint = resume { return false }
    guard FileSystem.kind(run.checkpointsPath) == .directory else { return true }
    return try FileSystem.list(run.checkpointsPath).isEmpty
  }

  /// The checkpoint to resume from, checked; nil: there is none.
  func checkpoint(_ resume: ResumeMode) throws(ProgramFailure) -> CheckpointReader? {
    let existing = try run.checkpoints()
    switch resume {
    case .never:
      if let newest = existing.first {
        throw ProgramFailure(
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
        throw ProgramFailure(
          .usage,
          "\(run.path) has later checkpoints (the newest is \(newest)) than \(checkpoint.path); resuming from there would "
            + "mix two runs. Name another folder with --run.")
      }
      return checkpoint
    }
  }

  /// Exit code 64 where the checkpoint is of other data, another configuration or another numerics version.
  func requireSameRun(_ recorded: TrainerState, _ path: String) throws(ProgramFailure) {
    let startAnew = "Continue with the old values, or start a new run in another folder (--run)."
    if recorded.dataFingerprint != dataset.fingerprint {
      throw ProgramFailure(
        .usage,
        "\(path) was trained on other data (\(recorded.dataName), fingerprint \(recorded.dataFingerprint.prefix(12))) than "
          + "\(dataset.name) (\(dataset.fingerprint.prefix(12))). Give the same data, or start a new run in another folder (--run)."
      )
    }
    let numerics = ProgramVersion.numerics(configuration.loss.kind)
    if recorded.numericsVersion != numerics {
      throw ProgramFailure(
        .usage,
        "\(path) was made with numerics version \(recorded.numericsVersion) (program \(recorded.programVersion)), this "
          + "program has \(numerics): the run could not continue with the same bits. Use that program. \(startAnew)"
      )
    }
    var refused: [String] = []
    for (key, old, new) in configuration.settings.differences(from: recorded.configuration) {
      if key.mayChangeOnResume {
        let rates = LearningRateSchedule(configuration).change(of: key, from: old, at: recorded.step)
        log("\(key.name) changes from \(old) to \(new)\(rates)")
      } else {
        refused.append("\(key.name) was \(old) and is \(new)")
      }
    }
    if !refused.isEmpty {
      throw ProgramFailure(
        .usage, "\(path) belongs to another configuration: \(refused.joined(separator: "; ")). \(startAnew)")
    }
    if let difference = ArithmeticRecord.difference(from: recorded.arithmetic, to: arithmetic) {
      log("warning: \(path) was computed elsewhere, so the run will not have the bits of one that stayed there: \(difference)")
    }
  }
}
