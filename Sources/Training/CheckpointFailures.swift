import SystemSupport

/// Counts the checkpoints in a row that the disk has refused: some may fail before the run stops.
struct CheckpointFailures {
  private let limit: Int
  private var count = 0
  /// Step of the last one.
  private var step: Int?

  /// `limit`: the key `checkpoint_failures`.
  init(limit: Int) { self.limit = limit }

  mutating func succeeded() { count = 0 }

  /// What to say of a failure to write the state of a step; nil where that was said before. Throws where it must not fail, or has failed
  /// too often.
  mutating func note(_ failure: ProgramFailure, step: Int, mayFail: Bool) throws(ProgramFailure) -> String? {
    // The second try of a step, for what its validation has found, is no second failure.
    if self.step == step && mayFail { return nil }
    if self.step != step { count += 1 }
    self.step = step
    let count = "failure \(count) of \(limit) in a row (checkpoint_failures)"
    guard mayFail else { throw failure }
    guard self.count < limit else {
      throw ProgramFailure(
        failure.exitCode, "\(failure.message); \(count): the run stops. Make room or mend the disk, and run the same command again.")
    }
    return "warning: \(failure.message); \(count), training continues"
  }
}
