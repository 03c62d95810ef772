import ArgumentParser
import BERT4RecDist

import enum SystemSupport.ExitCode

extension EvaluationSplit: ExpressibleByArgument {}
extension EvaluationProtocol: ExpressibleByArgument {}

/// `bert4rec-dist evaluate`
struct EvaluateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate",
    abstract: "Rank each user's held-out item with a trained model; alone or under mpirun.",
    discussion: """
      Protocols: full ranks it among all items that the user has not had; pop100 among 100 drawn by popularity, as the \
      paper; uniform100 among 100 drawn uniformly. Numbers of different protocols cannot be compared. The draws are those of \
      NumPy's RandomState(12345), so every number can be checked in Python.
      """)

  @Option(
    help: ArgumentHelp(
      "A checkpoint folder, or a run folder (its best whole checkpoint, else its latest).", valueName: "folder"))
  var checkpoint: String

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp("A prepared folder, or any files that prepare reads.", valueName: "path"))
  var data: [String]

  @OptionGroup(title: "What the data are") var reading: ReadingOptions

  @Option(help: ArgumentHelp("The same as --data-format.", valueName: "name"))
  var format: String?

  @Option(help: "The held-out items to rank: \(EvaluationSplit.allCases.map(\.rawValue).joined(separator: " or ")).")
  var split = EvaluationSplit.test

  @Option(
    name: .customLong("protocol"),
    help: "full, pop100 or uniform100; may be repeated (default: all).")
  var protocols: [EvaluationProtocol] = []

  @Option(help: ArgumentHelp("Threads per rank (default: the cores it may use, shared with the ranks beside it).", valueName: "n"))
  var threads: Int?

  @Flag(help: "In full, rank among all items, also those in the user's history; as recommend --keep-seen does.")
  var keepSeen = false

  @Flag(help: "Print one JSON object as the last line of standard output.")
  var json = false

  @Option(help: ArgumentHelp("Under mpirun, end after so long without progress on any rank.", valueName: "seconds"))
  var stallTimeout = 300.0

  func validate() throws {
    try Main.checkStallTimeout(stallTimeout)
    if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads must be from 1 to 1024.") }
  }

  func run() throws {
    Main.withCommunicator { (communicator) throws(Failure) in
      let progress = try Main.watch(communicator, limit: stallTimeout)
      let log: (String) -> Void = { if communicator.rank == 0 { printError($0) } }
      let model = try CheckpointModel(checkpoint, communicator: communicator, log: log)
      progress.finished(step: model.state.step)
      progress.enter(.data)
      let (dataset, notes) = try model.sharedDataset(
        InputPaths.joined(data), options: reading.options(format: format), for: split, communicator: communicator, log: log)
      let asked = protocols.isEmpty ? EvaluationProtocol.allCases : protocols
      let scorer = try model.makeScorer(
        longestQuery: dataset.sequences.longestQuery,
        drawnUsers: dataset.sequences.userCount * asked.count { $0.negativeCount != nil }, threads: threads,
        communicator: communicator)
      let evaluator = Evaluator(
        dataset: dataset, maximumLength: model.state.configuration.maximumSequenceLength, keepSeen: keepSeen,
        communicator: communicator)
      progress.enter(.evaluation)
      let clock = ContinuousClock()
      let start = clock.now
      let report = try evaluator.evaluate(scorer, split: split, protocols: asked, step: model.state.step)
      if var report {
        report.notes = notes + report.notes
        let seconds = (clock.now - start) / .seconds(1)
        log("checkpoint \(model.path): \(report.users) users ranked in \((seconds * 100).rounded() / 100) s")
        let results = report.lines + [report.table]
        if json { for line in results { log(line) } }
        Liveness.outside { for line in json ? [report.json] : results { print(line) } }
      }
      return .success
    }
  }
}
