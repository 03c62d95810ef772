import SystemSupport

/// How a collective call fails. A function that throws it is collective: every rank calls it, in the same order. One that throws a
/// plain `Failure` is not, and the compiler lets a collective function throw no such failure: it has to be agreed on first
/// (`Communicator.onEveryRank`, `onRankZero`), or be what every rank finds alike (`onEveryRank(_:_:)`, `alike(_:)`).
public struct CollectiveFailure: Error, Sendable, Equatable, CustomStringConvertible {
  /// Which ranks throw the failure at this point.
  public enum Reach: Sendable {
    /// All of them, so that they can leave together.
    case everyRank
    /// One alone; the others are going to wait for it.
    case thisRank
  }

  public let failure: Failure
  public let reach: Reach

  public init(_ failure: Failure, reach: Reach) {
    self.failure = failure
    self.reach = reach
  }

  /// What every rank comes to by itself, from the same values.
  public static func onEveryRank(_ exitCode: ExitCode, _ message: String) -> CollectiveFailure {
    CollectiveFailure(Failure(exitCode, message), reach: .everyRank)
  }

  /// What the other ranks cannot know of: it ends the run at once.
  public static func onThisRank(_ exitCode: ExitCode, _ message: String) -> CollectiveFailure {
    CollectiveFailure(Failure(exitCode, message), reach: .thisRank)
  }

  public var exitCode: ExitCode { failure.exitCode }
  public var message: String { failure.message }
  public var description: String { message }
}

/// Runs what every rank does with the same values, so that it fails on all of them alike or on none. Sends nothing.
public func alike<R>(_ work: () throws(Failure) -> R) throws(CollectiveFailure) -> R {
  do throws(Failure) { return try work() } catch { throw CollectiveFailure(error, reach: .everyRank) }
}
