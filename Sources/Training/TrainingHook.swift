/// What a training hook wants after a step. `save` and `stop` write a checkpoint; a run that is stopped ends with
/// `TrainingRun.Outcome.stopped`, and the same command resumes it, as after a signal.
public enum TrainingAnswer: Sendable {
  case proceed, save, stop
}

/// Watches training, step by step. A run that ends when its loss is low enough takes six lines:
/// ```swift
/// final class LowEnough: TrainingHook {
///   private var smoothed = 10.0
///   func afterStep(_ result: StepResult, step: Int) -> TrainingAnswer {
///     smoothed = 0.95 * smoothed + 0.05 * result.loss
///     return smoothed < 5 ? .stop : .proceed
///   }
/// }
/// ```
/// Called on rank 0 alone, after each update whose numbers are finite; the answer holds for all ranks. All that `result`
/// says but `workSeconds` is the same on any number of ranks and threads, so an answer that follows from it is, too. The time a hook takes
/// is time that every rank waits. Steps that are repeated, after a resume or since a replica differed, come again.
public protocol TrainingHook: AnyObject {
  /// `step`: updates done, this one included; not the number of calls where a run was resumed.
  func afterStep(_ result: StepResult, step: Int) -> TrainingAnswer
}
