import ArgumentParser
import BERT4RecDist
import Glibc

import enum SystemSupport.ExitCode

enum RecommendationFormat: String, ExpressibleByArgument, CaseIterable {
  case csv, tsv, jsonl
}

/// `bert4rec-dist recommend`
struct RecommendCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "recommend",
    abstract: "Recommend items for every user of a data set, or for histories from a file.",
    discussion: """
      The model is given the last items of a history (its max_seq_length - 1) and predicts the next one. Scores are its \
      logits. Items that the model does not know are skipped and counted. An empty history gets the most popular items. \
      With --data the whole sequence of each user is the history.
      """)

  @Option(
    help: ArgumentHelp(
      "A checkpoint folder, or a run folder (its best whole checkpoint, else its latest).", valueName: "folder"))
  var checkpoint: String

  @Option(
    parsing: .upToNextOption, help: ArgumentHelp("Recommend for every user of this data set.", valueName: "path"))
  var data: [String] = []

  @Option(
    help: ArgumentHelp(
      "Recommend for these: lines `user item`, oldest first, or any format of prepare; - is standard input; more than two "
        + "columns need a header, or --format or --columns.",
      valueName: "file"))
  var histories: String?

  @Option(help: ArgumentHelp("Items per user.", valueName: "k"))
  var topK = 10

  @OptionGroup(title: "What the data or histories are") var reading: ReadingOptions

  @Option(
    name: .customLong("format"),
    help: ArgumentHelp(
      "Of the output: csv, tsv or jsonl (default: csv). Other names, such as lists, are the input's, as --data-format.",
      valueName: "name"))
  var formats: [String] = []

  @Option(
    help: ArgumentHelp(
      "Titles of items, for another column: a table whose first line names an item and a title, or MovieLens' movies.dat or u.item.",
      valueName: "file"))
  var items: String?

  @OptionGroup var display: ProgressOptions

  @Flag(help: "Also recommend items already in the user's history.")
  var keepSeen = false

  @Option(help: ArgumentHelp("Threads per rank (default: the cores it may use, shared with the ranks beside it).", valueName: "n"))
  var threads: Int?

  @Option(help: ArgumentHelp("Under mpirun, end after so long without progress on any rank.", valueName: "seconds"))
  var stallTimeout = 300.0

  func validate() throws {
    try Main.checkStallTimeout(stallTimeout)
    if data.isEmpty == (histories == nil) { throw ValidationError("Give either --data or --histories.") }
    let outputs = formats.filter { RecommendationFormat(rawValue: $0) != nil }
    if outputs.count > 1 || formats.count - outputs.count > (reading.dataFormat == nil ? 1 : 0) {
      throw ValidationError("--format is given twice.")
    }
    if topK < 1 { throw ValidationError("--top-k must be at least 1.") }
    if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads must be from 1 to 1024.") }
  }

  func run() throws {
    Main.withCommunicator(showing: display.mode) { (communicator) throws(Failure) in
      let progress = try Main.watch(communicator, limit: stallTimeout)
      let model = try CheckpointModel(checkpoint, communicator: communicator, log: { printError($0) })
      progress.finished(step: model.state.step)
      progress.enter(.data)
      // Rank 0 alone reads and writes.
      var users = UserHistories()
      var titles: ItemTitles?
      try communicator.onRankZero { () throws(Failure) in
        if let items { titles = try ItemTitles.read(items, for: model.itemIDs, log: { printError($0) }) }
        if let items, let titles, titles.missingCount > 0 {
          printError("\(titles.missingCount) of \(model.itemIDs.count) items that the model knows have no title in \(items)")
        }
        users = try UserHistories(
          data: data.isEmpty ? nil : InputPaths.joined(data), histories: histories,
          options: reading.options(format: formats.first { RecommendationFormat(rawValue: $0) == nil }), model: model)
        if users.unknownCount > 0 {
          printError("\(users.unknownCount) interactions with items that the model does not know are skipped")
        }
      }
      let longestQuery = try communicator.broadcastArray([users.longest + 1])[0]
      let scorer = try model.makeScorer(longestQuery: longestQuery, threads: threads, communicator: communicator)
      progress.enter(.recommendation)
      try recommend(users, titles, model, scorer, communicator)
      return .success
    }
  }

  private func recommend(
    _ users: UserHistories, _ titles: ItemTitles?, _ model: CheckpointModel, _ scorer: ModelScorer,
    _ communicator: any Communicator
  ) throws(Failure) {
    let recommender = try communicator.onEveryRank { () throws(Failure) in
      try Recommender(
        scorer: scorer, itemCounts: model.itemCounts, maximumLength: model.state.configuration.maximumSequenceLength)
    }
    let format = formats.compactMap { RecommendationFormat(rawValue: $0) }.first ?? .csv
    var writer = RecommendationWriter(format: format, itemIDs: model.itemIDs, titles: titles)
    try communicator.onRankZero { () throws(Failure) in try writer.begin() }
    var fallbacks = 0
    try recommender.recommend(
      count: users.count, topK: topK, keepSeen: keepSeen, on: communicator, history: users.items
    ) { (user, list) throws(Failure) in
      if list.isFallback { fallbacks += 1 }
      try writer.write(users.id(of: user), list)
      return !writer.isClosed
    }
    try communicator.onRankZero { () throws(Failure) in
      if writer.isClosed { return }
      try writer.end()
      if fallbacks > 0 {
        printError(
          "\(fallbacks) of \(users.count) users have no history that the model knows: they get the most popular items")
      }
    }
  }
}

/// Whom to recommend for, in the model's item ids.
private struct UserHistories {
  private(set) var unknownCount = 0
  private var ids = ExternalIDs()
  private var histories: [[Int32]] = []

  /// Nobody: what ranks other than 0 have.
  init() {}

  init(
    data: String?, histories path: String?, options: LoadingOptions?, model: CheckpointModel
  ) throws(Failure) {
    if let data {
      let dataset = try model.translate(
        model.load(data, options: options, log: { printError($0) }), log: { printError($0) })
      ids = dataset.userIDs
      for user in 0..<dataset.sequences.userCount { histories.append(Array(dataset.sequences[user])) }
    } else if let path {
      let read = try Histories.read(path, options: options ?? LoadingOptions(), log: { printError($0) })
      let index = ItemIndex(model.itemIDs)
      ids = read.users
      for user in 0..<read.users.count {
        let items = read.items(of: user)
        let known = items.compactMap { index.item($0) }
        unknownCount += items.count - known.count
        histories.append(known)
      }
    }
  }

  var count: Int { histories.count }
  /// Items of the longest history.
  var longest: Int { histories.reduce(0) { max($0, $1.count) } }
  func items(of user: Int) -> [Int32] { histories[user] }
  func id(of user: Int) -> ArraySlice<UInt8> { ids[user] }
}
