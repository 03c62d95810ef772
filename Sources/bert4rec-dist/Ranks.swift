import ArgumentParser
import BERT4RecDist
import Glibc

/// How commands begin and end with the ranks of a start.
enum Ranks {
  /// Under mpirun a command must not wait for ever for a rank that does not come any more: it ends after so many seconds
  /// without progress.
  static func watch(_ communicator: any Communicator, limit: Double) throws(CollectiveFailure) -> RankProgress {
    let progress = RankProgress()
    if communicator.size > 1 { _ = try Watchdog(progress, limit: limit, communicator: communicator, resumes: false) }
    progress.enter(.loading)
    return progress
  }

  /// For `--stall-timeout`.
  static func checkStallTimeout(_ seconds: Double) throws {
    if !(1...1e6).contains(seconds) { throw ValidationError("--stall-timeout must be 1 to 1000000 seconds.") }
  }

  /// Runs a command's work with the ranks of this start and ends the program with its exit code. Failures are printed once. The first
  /// rank shows what it is doing.
  static func withCommunicator(
    showing mode: ProgressMode = .none, _ work: (any Communicator) throws(CollectiveFailure) -> ProgramExitCode
  ) -> Never {
    let communicator: any Communicator
    let watch = watchStart()
    do throws(CollectiveFailure) { communicator = try makeCommunicator() } catch {
      printError("error: \(error.message)")
      leave(error.exitCode)
    }
    watch?.end()
    let display = communicator.rank == 0 ? ProgressDisplay(mode) : nil
    do throws(CollectiveFailure) {
      defer { display?.stop() }
      let code = try work(communicator)
      display?.stop()
      // What the others print must be out before the first rank leaves: mpirun ends the rest after a code that is not 0.
      if Liveness.outside({ fflush(nil) }) != 0 {
        throw .onThisRank(.disk, "cannot write to standard output: \(String(cString: strerror(errno)))")
      }
      let end = communicator.finish(after: nil)
      leave(end == .success ? code : end)
    } catch {
      _ = Liveness.outside { fflush(nil) }
      leave(communicator.finish(after: error))
    }
  }

  /// nil without mpirun, and where no limit is wanted.
  private static func watchStart() -> StartWatch? {
    guard let rank = FirstRank.number else { return nil }
    var limit = StartWatch.usualLimit
    if let text = getenv(StartWatch.variable).map({ String(cString: $0) }) {
      guard let seconds = Int(text), (0...1_000_000).contains(seconds) else {
        if FirstRank.isThis { printError("error: \(StartWatch.variable) must be 0 to 1000000 seconds, not '\(text)'") }
        leave(.usage)
      }
      limit = seconds
    }
    return limit == 0 ? nil : StartWatch(limit: limit, rank: rank)
  }

  /// Ends the program, and leaves the file that says so where one is asked for.
  static func leave(_ code: ProgramExitCode) -> Never {
    fflush(nil)
    do throws(ProgramFailure) { if code == .success { try DoneFile.write() } } catch {
      printError("error: \(error.message)")
      Glibc.exit(error.exitCode.rawValue)
    }
    Glibc.exit(code.rawValue)
  }
}
