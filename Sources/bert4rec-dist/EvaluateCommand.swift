import ArgumentParser
import BERT4RecDist

extension EvaluationSplit: ExpressibleByArgument {}
extension EvaluationProtocol: ExpressibleByArgument {}

/// `bert4rec-dist evaluate`
struct EvaluateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate",
    abstract: "Rank each user's held-out item with a trained model, or measure lists against several targets; alone or under mpirun.",
    discussion: """
      Protocols: full ranks it among all items that the user has not had; pop100 among 100 drawn by popularity, as the \
      paper; uniform100 among 100 drawn uniformly. Numbers of different protocols cannot be compared. The draws are those of \
      NumPy's RandomState(12345), so every number can be checked in Python.

      With --targets, --data are the histories and FILE holds what these users did afterwards: the model's list for each user is \
      measured against all of it; with --split-time one file is both. With --predictions another program's lists take the place of the \
      model's.

      \(CommandHelp.end(examples: [
        "bert4rec-dist evaluate --checkpoint runs/ratings --data ratings.csv",
        "bert4rec-dist evaluate --checkpoint runs/r --data may.csv --targets june.csv",
      ]))
      """)

  @Option(
    help: ArgumentHelp(
      "A checkpoint folder, or a run folder (its best whole checkpoint, else its latest).", valueName: "folder"), completion: .directory)
  var checkpoint: String?

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp("A prepared folder, or any files that prepare reads.", valueName: "path"), completion: .file())
  var data: [String] = []

  @Option(
    help: ArgumentHelp(
      "What users did after their histories in --data: any file that prepare reads; the options that say what --data is hold for it too.",
      valueName: "file"), completion: .file())
  var targets: String?

  @Option(
    help: ArgumentHelp(
      "Of --data, what is before this time are the histories, and what users did from then on are the targets: 2014-07-23, "
        + "2014-07-23T10:00:00Z, an epoch, or none (default: as the checkpoint's run did with the same --data).", valueName: "time"))
  var splitTime: String?

  @Option(
    help: ArgumentHelp(
      "Measure these lists in place of a model's: columns that a first line names user, item and score or rank, recommend's output, "
        + "or a TREC run; against --targets, or the held-out items of --data.", valueName: "file"), completion: .file())
  var predictions: String?

  @Option(
    help: ArgumentHelp(
      "Lengths of lists, with --targets, --predictions or a split by time (default: "
        + "\(TargetMetrics.defaultCutoffs.map(String.init).joined(separator: ","))).", valueName: "k,..."))
  var at: String?

  @OptionGroup(title: "What the data are") var reading: FormatOptions

  @Option(
    help: ArgumentHelp(
      "The held-out items to rank: \(EvaluationSplit.allCases.map(\.rawValue).joined(separator: " or ")) (default: test). With a split by "
        + "time, test are the targets behind it, and validation the last items before it.",
      valueName: "split"))
  var split: EvaluationSplit?

  @Option(
    name: .customLong("protocol"),
    help: "full, pop100 or uniform100; may be repeated (default: all).")
  var protocols: [EvaluationProtocol] = []

  @Option(help: ArgumentHelp("Threads per rank (default: the cores it may use, shared with the ranks beside it).", valueName: "n"))
  var threads: Int?

  @Flag(help: "In full, rank among all items, also those in the user's history; as recommend --keep-seen does.")
  var keepSeen = false

  @Option(
    help: ArgumentHelp(
      "Write the model's lists and what should be in them as TREC files, run.txt and qrels.txt, into this new folder.", valueName: "folder")
  )
  var trec: String?

  @OptionGroup var display: ProgressOptions

  @Flag(help: "Print one JSON object as the last line of standard output.")
  var json = false

  @Option(help: ArgumentHelp("Under mpirun, end after so long without progress on any rank.", valueName: "seconds"))
  var stallTimeout = 300.0

  func validate() throws {
    try Ranks.checkStallTimeout(stallTimeout)
    if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads must be from 1 to 1024.") }
    if (checkpoint == nil) == (predictions == nil) { throw ValidationError("Give either --checkpoint or --predictions.") }
    if data.isEmpty, checkpoint != nil || targets == nil {
      throw ValidationError(
        checkpoint != nil ? "--data is missing: the histories to rank for." : "Give --targets, or --data whose held-out items are them.")
    }
    if ([targets, predictions].compactMap(\.self) + data).count(where: { $0 == "-" }) > 1 {
      throw ValidationError("Standard input (-) is given twice; it can be read once.")
    }
    if targets != nil, split != nil { throw ValidationError("--split is of held-out items; with --targets there are none.") }
    if splitTime != nil, data.isEmpty { throw ValidationError("--split-time is of --data, and there are none.") }
    if let splitTime, splitTime != "none", targets != nil {
      throw ValidationError("Targets are those of --targets or those behind --split-time; give one of the two.")
    }
    let measuresLists = targets != nil || predictions != nil
    if measuresLists, protocols.contains(where: { $0 != .full }) {
      throw ValidationError("With --targets or --predictions lists of the whole catalogue are measured: --protocol can only be full.")
    }
    if predictions != nil, threads != nil { throw ValidationError("--threads is for a model; --predictions are read and counted by one.") }
    if trec != nil, predictions != nil { throw ValidationError("--trec writes a model's lists; --predictions are lists already.") }
    _ = try cutoffs()
  }

  /// Ascending.
  func cutoffs() throws -> [Int] {
    guard let at else { return TargetMetrics.defaultCutoffs }
    let numbers = at.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
    let distinct = Set(numbers)
    guard distinct.count == numbers.count, numbers.allSatisfy({ (1...100_000).contains($0) }) else {
      throw ValidationError("--at must be different whole numbers from 1 to 100000 with commas between, such as 10,50; not '\(at)'.")
    }
    return distinct.sorted()
  }

  func run() throws {
    let cutoffs = try cutoffs()
    Ranks.withCommunicator(showing: display.mode) { (communicator) throws(CollectiveFailure) in
      let progress = try Ranks.watch(communicator, limit: stallTimeout)
      if let predictions {
        progress.enter(.data)
        try evaluate(predictions: predictions, cutoffs, communicator)
        return .success
      }
      guard let checkpoint else { preconditionFailure("validated") }
      let model = try CheckpointModel(checkpoint, communicator: communicator, log: { logOnce($0, communicator) })
      progress.finished(step: model.state.step)
      progress.enter(.data)
      var options = LoadingOptions()
      let isSplit = try communicator.fromRankZero { () throws(ProgramFailure) in
        if let trec { try NewFolder.checkTarget(trec) }
        options = try model.loadingOptions(
          for: InputPaths.joined(data), reading.options(), split: Self.split(splitTime))
        if options.splitTime != nil && split != .validation || targets != nil {
          if protocols.contains(where: { $0 != .full }) {
            throw ProgramFailure(.usage, "behind a split by time lists of the whole catalogue are measured: --protocol can only be full")
          }
        } else if at != nil {
          throw ProgramFailure(
            .usage, "--at is for --targets or --predictions, or a split by time; a held-out item is ranked at 1, 5 and 10")
        }
        return options.splitTime != nil
      }
      if targets != nil || isSplit && split != .validation {
        try evaluateTargets(model, options, cutoffs, communicator, progress)
      } else {
        try evaluate(model, options, testsLater: isSplit, communicator, progress)
      }
      return .success
    }
  }

  /// Of the option.
  static func split(_ time: String?) throws(ProgramFailure) -> CheckpointModel.Split {
    guard let time else { return .asTrained }
    return time == "none" ? .none : .at(try InteractionFilters.time(time, origin: "--split-time"))
  }

  /// Ranks held-out items; `options` are rank 0's.
  private func evaluate(
    _ model: CheckpointModel, _ options: LoadingOptions, testsLater: Bool, _ communicator: any Communicator, _ progress: RankProgress
  ) throws(CollectiveFailure) {
    let log: (String) -> Void = { logOnce($0, communicator) }
    let split = split ?? .test
    let (dataset, notes) = try model.sharedDataset(
      InputPaths.joined(data), options: options, for: split, communicator: communicator, log: log)
    let asked = protocols.isEmpty ? EvaluationProtocol.allCases : protocols
    let scorer = try model.makeScorer(
      longestQuery: dataset.sequences.longestQuery + (testsLater ? 1 : 0),
      drawnUsers: dataset.sequences.userCount * asked.count { $0.negativeCount != nil }, threads: threads,
      communicator: communicator)
    let evaluator = Evaluator(
      dataset: dataset, maximumLength: model.state.configuration.maximumSequenceLength, keepSeen: keepSeen,
      testsLater: testsLater, communicator: communicator)
    progress.enter(.evaluation)
    let watch = Stopwatch()
    let report = try evaluator.evaluate(scorer, split: split, protocols: asked, step: model.state.step)
    try writeTREC(scorer, model, dataset, split, testsLater: testsLater, communicator)
    guard var report else { return }
    report.notes = notes + report.notes
    log("checkpoint \(model.path): \(report.users) users ranked in \(DecimalText.rounded(watch.seconds, 2)) s")
    show(report.lines + [report.table], json: report.json, communicator)
  }

  /// The lists that held-out items are ranked in, as far as TREC's files have them.
  private func writeTREC(
    _ scorer: ModelScorer, _ model: CheckpointModel, _ dataset: Dataset, _ split: EvaluationSplit, testsLater: Bool,
    _ communicator: any Communicator
  ) throws(CollectiveFailure) {
    guard let trec else { return }
    let recommender = try communicator.onEveryRank { () throws(ProgramFailure) in
      try Recommender(
        scorer: scorer, itemCounts: model.itemCounts, maximumLength: model.state.configuration.maximumSequenceLength)
    }
    let heldOut = LeaveOneOut(dataset.sequences, holdout: .testAndValidation, testsLater: testsLater)
    let users = (0..<dataset.sequences.userCount).filter { heldOut.hasEvaluationItems(user: $0) }
    func asked(_ place: Int) -> (history: UnsafeBufferPointer<Int32>, label: Int32) {
      guard let asked = heldOut.heldOut(of: users[place], split: split) else { preconditionFailure("users without one were left out") }
      return asked
    }
    try writeTREC(trec, itemIDs: model.itemIDs, communicator) { files throws(CollectiveFailure) in
      try recommender.recommend(
        count: users.count, longestList: TRECFolder.depth, on: communicator,
        request: { place in
          let (history, label) = asked(place)
          return RecommendationRequest(history: Array(history), topK: TRECFolder.depth, keepSeen: keepSeen, heldOut: label)
        }
      ) { (place, list) throws(ProgramFailure) in
        try files?.add(dataset.userIDs[users[place]], list, targets: [model.itemIDs[Int(asked(place).label) - 1]])
        return true
      }
    }
  }

  /// Lets `body` fill the files, which are on rank 0 alone; nothing half-written stays where it fails.
  func writeTREC(
    _ folder: String, itemIDs: ExternalIDs, _ communicator: any Communicator, _ body: (TRECFolder?) throws(CollectiveFailure) -> Void
  ) throws(CollectiveFailure) {
    let files = try communicator.onRankZero { () throws(ProgramFailure) in try TRECFolder(folder, itemIDs: itemIDs) }
    do throws(CollectiveFailure) {
      try body(files)
      try communicator.onRankZero { () throws(ProgramFailure) in try files?.complete() }
    } catch {
      files?.discard()
      throw error
    }
  }

  /// Results for people, or for a program, who then gets them alone on standard output.
  func show(_ results: [String], json text: String, _ communicator: any Communicator) {
    if json { for line in results { logOnce(line, communicator) } }
    for line in json ? [text] : results { printResult(line) }
  }

  /// A line on standard error, by rank 0.
  func logOnce(_ line: String, _ communicator: any Communicator) { if communicator.rank == 0 { printError(line) } }
}
