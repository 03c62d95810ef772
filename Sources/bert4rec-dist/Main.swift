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
      Ranks.leave(.success)
    } catch let failure as ProgramFailure {
      printError("error: \(failure.message)")
      Ranks.leave(failure.exitCode)
    } catch {
      leave(withParsingError: error)
    }
  }

  /// Help, version and wrong usage. Under mpirun every rank comes here with the same words, and one says them.
  private static func leave(withParsingError error: any Error) -> Never {
    if exitCode(for: error) == .success {
      // Without MPI: help must be had wherever the program starts at all.
      if FirstRank.isThis { print(fullMessage(for: error)) }
      Ranks.leave(.success)
    }
    Ranks.withCommunicator { communicator in
      if communicator.rank == 0 { printError(fullMessage(for: error)) }
      return ProgramExitCode(rawValue: exitCode(for: error).rawValue) ?? .usage
    }
  }
}
