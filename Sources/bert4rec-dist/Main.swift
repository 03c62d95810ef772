import ArgumentParser
import BERT4RecDist
import CLimitedStart  // acts before `main`
import Glibc

@main
struct Main: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bert4rec-dist",
    abstract: "Train BERT4Rec (Sun et al., CIKM 2019), data-parallel: mpirun -np 8 bert4rec-dist train",
    discussion: """
      Without arguments, `train` trains on a built-in demo. With your own data:
        bert4rec-dist prepare ratings.csv                          look at it
        mpirun -np 8 bert4rec-dist train --data ratings.csv        train, evaluate, keep checkpoints
        bert4rec-dist recommend --checkpoint runs/ratings --data ratings.csv

      \(CommandHelp.line(CommandHelp.allCodes))
      """,
    version: ProgramVersion.description,
    subcommands: [
      PrepareCommand.self, TrainCommand.self, EvaluateCommand.self, RecommendCommand.self, ReportCommand.self, ExportCommand.self,
      BenchCommand.self, TuneCommand.self, DoctorCommand.self,
    ])

  static func main() {
    // A file that would exceed the user's limit (ulimit -f) is then an error to tell, as a full disk is, not a death.
    signal(SIGXFSZ, SIG_IGN)
    do {
      try DoneFile.refuseOld()
      var command = try parseAsRoot()
      try command.run()
      leave(.success)
    } catch let failure as ProgramFailure {
      printError("error: \(failure.message)")
      leave(failure.exitCode)
    } catch {
      leave(withParsingError: error)
    }
  }

  /// Help, version and wrong usage. Under mpirun every rank comes here with the same words, and one says them.
  private static func leave(withParsingError error: any Error) -> Never {
    if exitCode(for: error) == .success {
      // Without MPI: help must be had wherever the program starts at all.
      if isFirstRank { print(fullMessage(for: error)) }
      leave(.success)
    }
    withCommunicator { communicator in
      if communicator.rank == 0 { printError(fullMessage(for: error)) }
      return ProgramExitCode(rawValue: exitCode(for: error).rawValue) ?? .usage
    }
  }

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
    do throws(CollectiveFailure) { communicator = try makeCommunicator() } catch {
      printError("error: \(error.message)")
      leave(error.exitCode)
    }
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

  /// Before MPI is asked, and after it is done.
  static var isFirstRank: Bool {
    let names = ["OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"]
    return names.allSatisfy { name in getenv(name).map { String(cString: $0) == "0" } ?? true }
  }

  static func leave(_ code: ProgramExitCode) -> Never {
    fflush(nil)
    do throws(ProgramFailure) { if code == .success { try DoneFile.write() } } catch {
      printError("error: \(error.message)")
      Glibc.exit(error.exitCode.rawValue)
    }
    Glibc.exit(code.rawValue)
  }
}
