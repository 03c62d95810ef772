/// What the program's exit code tells a script (docs/runs.md, "Exit codes"; the numbers follow sysexits.h).
public enum ProgramExitCode: Int32, Sendable {
  case success = 0
  /// Wrong usage or configuration.
  case usage = 64
  /// A file's contents are not what they should be.
  case badData = 65
  /// A file is not there or cannot be read.
  case unreadable = 66
  /// Non-finite numbers, or a fault of the program itself.
  case internalFault = 70
  /// The disk is full, not writable, or fails.
  case disk = 74
  /// Stopped by a signal or by `--stop-after`; the state is saved, the same command resumes the run.
  case stopped = 75
}

/// An error that a file, a user, a peer or the machine can cause.
///
/// `message` says what happened, where (file:line, tensor, rank) and what to do about it, in words for the person who runs the
/// program. A programmer's mistake is a `precondition`, never a `ProgramFailure`.
public struct ProgramFailure: Error, Sendable, Equatable, CustomStringConvertible {
  /// What the program ends with.
  public let exitCode: ProgramExitCode
  /// One printable line: what, where, and what to do.
  public let message: String

  /// The message becomes one printable line, whatever names and files have brought into it.
  public init(_ exitCode: ProgramExitCode, _ message: String) {
    self.exitCode = exitCode
    self.message = TerminalText.line(message)
  }

  public var description: String { message }
}
