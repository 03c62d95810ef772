import SystemSupport

/// How a collective call fails. A function that throws it is collective: every rank calls it, in the same order. One that throws a
/// plain `ProgramFailure` is not, and the compiler lets a collective function throw no such failure: it has to be agreed on first
/// (`Communicator.onEveryRank`, `onRankZero`), or be what every rank finds alike (`onEveryRank(_:_:)`, `alike(_:)`).
public struct CollectiveFailure: Error, Sendable, Equatable, CustomStringConvertible {
  /// Which ranks throw the failure at this point.
  public enum Reach: Sendable {
    /// All of them, so that they can leave together.
    case everyRank
    /// One alone; the others are going to wait for it.
    case thisRank
  }

  /// What happened.
  public let failure: ProgramFailure
  /// Which ranks throw it.
  public let reach: Reach

  /// A failure with its reach.
  public init(_ failure: ProgramFailure, reach: Reach) {
    self.failure = failure
    self.reach = reach
  }

  /// What every rank comes to by itself, from the same values.
  public static func onEveryRank(_ exitCode: ProgramExitCode, _ message: String) -> CollectiveFailure {
    CollectiveFailure(ProgramFailure(exitCode, message), reach: .everyRank)
  }

  /// What the other ranks cannot know of: it ends the run at once.
  public static func onThisRank(_ exitCode: ProgramExitCode, _ message: String) -> CollectiveFailure {
    CollectiveFailure(ProgramFailure(exitCode, message), reach: .thisRank)
  }

  /// The failure's exit code.
  public var exitCode: ProgramExitCode { failure.exitCode }
  /// The failure's message.
  public var message: String { failure.message }
  public var description: String { message }
}

/// Runs what every rank does with the same values, so that it fails on all of them alike or on none. Sends nothing.
public func alike<R>(_ work: () throws(ProgramFailure) -> R) throws(CollectiveFailure) -> R {
  do throws(ProgramFailure) { return try work() } catch { throw CollectiveFailure(error, reach: .everyRank) }
}
