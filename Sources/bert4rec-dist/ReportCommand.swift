import ArgumentParser
import BERT4RecDist

/// `bert4rec-dist report`
struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Write one HTML page on a run, alone or beside others: curves, metrics, time, settings, example users.",
    discussion: """
      The page needs nothing else: no network, no script. What is missing or damaged in a run folder is left out and said. The run \
      may be going on.

      \(CommandHelp.end(examples: [
        "bert4rec-dist report --run runs/ml-1m --items ml-1m.zip:ml-1m/movies.dat",
        "bert4rec-dist report --run runs/a --compare runs/b runs/c --output all.html",
      ]))
      """)

  @Option(name: .customLong("run"), help: ArgumentHelp("Run folder.", valueName: "folder"), completion: .directory)
  var runFolder: String

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp("Other run folders, at most \(ReportPage.mostRuns - 1), to show beside it.", valueName: "folder"),
    completion: .directory)
  var compare: [String] = []

  @Option(
    help: ArgumentHelp(
      "Titles of items for the example users: a table whose first line names an item and a title, or MovieLens' movies.dat or u.item.",
      valueName: "file"), completion: .file())
  var items: String?

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp("The run's data, for the example users, where they are not where its config.yaml says.", valueName: "path"),
    completion: .file())
  var data: [String] = []

  @Option(help: ArgumentHelp("The page (default: report.html in the run folder).", valueName: "file"), completion: .file())
  var output: String?

  @OptionGroup var display: ProgressOptions

  func validate() throws {
    if compare.count >= ReportPage.mostRuns {
      throw ValidationError("--compare takes at most \(ReportPage.mostRuns - 1) run folders.")
    }
    if output?.isEmpty == true { throw ValidationError("--output is empty; give a file.") }
  }

  func run() throws {
    Ranks.withCommunicator(showing: display.mode) { (communicator) throws(CollectiveFailure) in
      // More ranks have nothing to do.
      try communicator.onRankZero { () throws(ProgramFailure) in try report() }
      return .success
    }
  }

  private func report() throws(ProgramFailure) {
    let path = output ?? runFolder + "/report.html"
    // Before the work, not after it.
    try ReportPage.checkTarget(path)
    var runs: [RunRecord] = []
    for folder in [runFolder] + compare { runs.append(try RunRecord(reading: folder)) }
    var notes: [String] = []
    var examples: [ExampleUser] = []
    do throws(ProgramFailure) {
      examples = try ExampleUser.make(
        run: runs[0], data: data.isEmpty ? nil : InputPaths.joined(data), items: items, log: { printError($0) })
    } catch {
      // What was asked for by name must not be missing.
      if !data.isEmpty || items != nil { throw error }
      notes.append("no example users: \(error.message)")
    }
    let page = ReportPage(runs, examples: examples, notes: notes)
    for note in page.notes { printError(note) }
    try page.write(to: path)
    printError("report written to \(path)")
  }
}
