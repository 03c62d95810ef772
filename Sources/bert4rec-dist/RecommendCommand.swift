import ArgumentParser
import BERT4RecDist

/// `bert4rec-dist recommend`
struct RecommendCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "recommend",
    abstract: "Recommend items for every user of a data set, for histories from a file, or for a stream of them; find similar items.",
    discussion: """
      The model is given the last items of a history (its max_seq_length - 1) and predicts the next one. Scores are its \
      logits. Items that the model does not know are skipped and counted. An empty history gets the most popular items. \
      With --data the whole sequence of each user is the history.

      With --stream each line of standard input is a JSON object, {"items": ["id", ...]}, and gets its answer as one line at \
      once, until the input ends: {"items": [{"item_id": "id", "score": 1.5}, ...]}. A line may also have "user" (given back as it \
      is), "top_k", "keep_seen" and "candidates". One that cannot be answered gets {"error": "..."} in its place.

      \(CommandHelp.end(examples: [
        "bert4rec-dist recommend --checkpoint runs/r --data ratings.csv > out.csv",
        "bert4rec-dist recommend --checkpoint runs/r --histories - < new.csv",
        "bert4rec-dist recommend --checkpoint runs/r --similar-items 1193",
        "bert4rec-dist recommend --checkpoint runs/r --stream < histories.jsonl",
      ]))
      """)

  @Option(
    help: ArgumentHelp(
      "A checkpoint folder, or a run folder (its best whole checkpoint, else its latest).", valueName: "folder"), completion: .directory)
  var checkpoint: String

  @Option(
    parsing: .upToNextOption, help: ArgumentHelp("Recommend for every user of this data set.", valueName: "path"), completion: .file())
  var data: [String] = []

  @Option(
    help: ArgumentHelp(
      "Recommend for these: lines `user item`, oldest first, or any format of prepare; - is standard input; more than two "
        + "columns need a header, or --format or --columns.",
      valueName: "file"), completion: .file())
  var histories: String?

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp(
      "Find the items whose embeddings are nearest to these items', by the cosine; all: of every item.", valueName: "id"))
  var similarItems: [String] = []

  @Flag(help: "Answer each line of standard input at once; alone, not under mpirun.")
  var stream = false

  @Option(help: ArgumentHelp("Items per user.", valueName: "k"))
  var topK = 10

  @Option(
    help: ArgumentHelp(
      "Recommend these items alone: an id per line, or a list per user in any form of --histories.", valueName: "file"))
  var candidates: String?

  @OptionGroup(title: "What the data or histories are") var reading: ReadingOptions

  @Option(
    name: .customLong("format"),
    help: ArgumentHelp(
      "Of the output: csv, tsv, jsonl or trec, a TREC run (default: csv). Other names, such as lists, are the input's, as --data-format.",
      valueName: "name"))
  var formats: [String] = []

  @Option(
    help: ArgumentHelp(
      "Titles of items, for another column: a table whose first line names an item and a title, JSON lines with such keys, or "
        + "MovieLens' movies.dat or u.item.",
      valueName: "file"), completion: .file())
  var items: String?

  @OptionGroup var display: ProgressOptions

  @Flag(help: "Also recommend items already in the user's history.")
  var keepSeen = false

  @Option(help: ArgumentHelp("Threads per rank (default: the cores it may use, shared with the ranks beside it).", valueName: "n"))
  var threads: Int?

  @Option(help: ArgumentHelp("Under mpirun, end after so long without progress on any rank.", valueName: "seconds"))
  var stallTimeout = 300.0

  func validate() throws {
    try Ranks.checkStallTimeout(stallTimeout)
    if [!data.isEmpty, histories != nil, !similarItems.isEmpty, stream].count(where: \.self) != 1 {
      throw ValidationError("Give one of --data, --histories, --similar-items and --stream.")
    }
    let outputs = formats.filter { RecommendationFormat(rawValue: $0) != nil }
    if outputs.count > 1 || formats.count - outputs.count > (reading.dataFormat == nil ? 1 : 0) {
      throw ValidationError("--format is given twice.")
    }
    if topK < 1 { throw ValidationError("--top-k must be at least 1.") }
    if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads must be from 1 to 1024.") }
    if format == .trec, items != nil { throw ValidationError("A TREC run has no place for titles: leave out --items.") }
    if !similarItems.isEmpty {
      if keepSeen { throw ValidationError("--keep-seen is of histories; an item is not among its similar ones.") }
      if format == .trec { throw ValidationError("--format trec is of recommendations; similar items are csv, tsv or jsonl.") }
    }
    if stream, !formats.isEmpty {
      throw ValidationError("--stream reads and writes JSON lines: leave out --format.")
    }
  }

  /// Of the output.
  private var format: RecommendationFormat { formats.compactMap { RecommendationFormat(rawValue: $0) }.first ?? .csv }

  func run() throws {
    Ranks.withCommunicator(showing: display.mode) { (communicator) throws(CollectiveFailure) in
      if stream { try Self.prepareStream(communicator) }
      let progress = try Ranks.watch(communicator, limit: stallTimeout)
      let model = try CheckpointModel(checkpoint, communicator: communicator, log: { printError($0) })
      progress.finished(step: model.state.step)
      progress.enter(.data)
      // Rank 0 alone reads and writes.
      let input = try communicator.onRankZero { () throws(ProgramFailure) in try read(model) } ?? RecommendationInput()
      if stream {
        try answerStream(input, model, communicator)
      } else {
        try recommend(input, model, communicator, progress)
      }
      return .success
    }
  }

  private func read(_ model: CheckpointModel) throws(ProgramFailure) -> RecommendationInput {
    var input = RecommendationInput()
    input.catalogue = ItemIndex(model.itemIDs)
    let options = try reading.options(format: formats.first { RecommendationFormat(rawValue: $0) == nil })
    if let items {
      let titles = try ItemTitles.read(items, for: model.itemIDs, log: { printError($0) })
      if titles.missingCount > 0 {
        printError("\(titles.missingCount) of \(model.itemIDs.count) items that the model knows have no title in \(items)")
      }
      input.titles = titles
    }
    if let histories {
      input.users = try UserHistories(histories: histories, options: options, catalogue: input.catalogue)
    } else if !data.isEmpty {
      input.users = try UserHistories(data: InputPaths.joined(data), options: options, model: model)
    } else if !similarItems.isEmpty {
      input.users = UserHistories(items: try chosenItems(model, input.catalogue), of: model)
    }
    if input.users.unknownCount > 0 {
      printError("\(input.users.unknownCount) interactions with items that the model does not know are skipped")
    }
    if let candidates {
      input.candidates = try CandidateChoice(candidates, options: options, catalogue: input.catalogue)
      try input.candidates.check(input.users, path: candidates)
    }
    return input
  }

  /// Of `--similar-items`.
  private func chosenItems(_ model: CheckpointModel, _ catalogue: ItemIndex) throws(ProgramFailure) -> [Int32] {
    if similarItems == ["all"] { return (0..<model.itemIDs.count).map { Int32($0 + 1) } }
    var chosen: [Int32] = []
    for id in similarItems {
      guard let item = catalogue.item(Array(id.utf8)) else {
        throw ProgramFailure(.usage, "--similar-items: the model does not know the item '\(id)'")
      }
      chosen.append(item)
    }
    return chosen
  }

  private func recommend(
    _ input: RecommendationInput, _ model: CheckpointModel, _ communicator: any Communicator, _ progress: RankProgress
  ) throws(CollectiveFailure) {
    let recommender: Recommender
    let areSimilar = !similarItems.isEmpty
    if areSimilar {
      let scorer = try model.makeSimilarityScorer(threads: threads, communicator: communicator)
      recommender = try communicator.onEveryRank { () throws(ProgramFailure) in
        // The item and [MASK].
        try Recommender(scorer: scorer, itemCounts: model.itemCounts, maximumLength: 2)
      }
    } else {
      let longestQuery = try communicator.broadcast(input.users.longest + 1)
      let scorer = try model.makeScorer(longestQuery: longestQuery, threads: threads, communicator: communicator)
      recommender = try communicator.onEveryRank { () throws(ProgramFailure) in
        try Recommender(
          scorer: scorer, itemCounts: model.itemCounts, maximumLength: model.state.configuration.maximumSequenceLength)
      }
    }
    progress.enter(.recommendation)
    var writer = RecommendationWriter(
      format: format, columns: areSimilar ? .similarItems : .recommendations, itemIDs: model.itemIDs, titles: input.titles)
    try communicator.onRankZero { () throws(ProgramFailure) in try writer.begin() }
    let (users, candidates) = (input.users, input.candidates)
    var fallbacks = 0
    try recommender.recommend(
      count: users.count, longestList: topK, shared: candidates.shared, on: communicator,
      request: { user in
        RecommendationRequest(
          history: users.items(of: user), topK: topK, keepSeen: keepSeen, candidates: candidates.own(of: users.id(of: user)))
      }
    ) { (user, list) throws(ProgramFailure) in
      if list.isFallback { fallbacks += 1 }
      try writer.write(users.id(of: user), list)
      return !writer.isClosed
    }
    try communicator.onRankZero { () throws(ProgramFailure) in
      if writer.isClosed { return }
      try writer.end()
      if fallbacks > 0 {
        printError(
          "\(fallbacks) of \(users.count) users have no history that the model knows: they get the most popular items")
      }
    }
  }
}

/// What rank 0 has read; empty elsewhere.
struct RecommendationInput {
  var catalogue = ItemIndex(ExternalIDs())
  var titles: ItemTitles?
  var users = UserHistories()
  var candidates = CandidateChoice()
}
