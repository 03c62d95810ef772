import ArgumentParser
import BERT4RecDist

/// `bert4rec-dist doctor`
struct DoctorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "Look at the hosts, the network and the disk of a run, and say what is wrong and what to change; alone or under mpirun.",
    discussion: """
      Start it as the run itself would be started: what is bound, limited or slow is found where the ranks are. Trouble is told by \
      the lines "trouble:" and "change:", and is no failure: the exit code is 0.

      \(CommandHelp.end(examples: [
        "bert4rec-dist doctor --run runs/ratings",
        "mpirun -np 8 --hostfile hosts bert4rec-dist doctor --run runs/ratings",
      ]))
      """)

  @Option(
    name: .customLong("run"), help: ArgumentHelp("Run folder whose disk is tried (default: runs).", valueName: "folder"),
    completion: .directory)
  var runFolder = "runs"

  @OptionGroup var display: ProgressOptions

  func validate() throws {
    if runFolder.isEmpty { throw ValidationError("--run is empty; give a folder.") }
  }

  func run() throws {
    Ranks.withCommunicator(showing: display.mode) { (communicator) throws(CollectiveFailure) in
      let progress = try Ranks.watch(communicator, limit: 120)
      progress.enter(.starting)
      for line in try Doctor.examine(runFolder: runFolder, communicator) { printResult(line) }
      return .success
    }
  }
}
