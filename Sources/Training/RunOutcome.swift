/// How a training run came to its end.
public enum RunOutcome: Sendable, Equatable {
  case finished
  /// State saved; the same command resumes the run.
  case stopped
}
