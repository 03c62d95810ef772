import BERT4RecDist
import Glibc

/// `recommend --stream`
extension RecommendCommand {
  /// Lines that are scored together for each thread.
  private static let linesPerThread = 64

  /// Before anything is opened that would take the number of an input that is closed.
  static func prepareStream(_ communicator: any Communicator) throws(CollectiveFailure) {
    try communicator.onRankZero { () throws(ProgramFailure) in
      if communicator.size > 1 {
        throw ProgramFailure(.usage, "--stream answers in one process: start it without mpirun; --threads is what uses more cores")
      }
      for (descriptor, name) in [(STDIN_FILENO, "input"), (STDOUT_FILENO, "output")] where fcntl(descriptor, F_GETFD) < 0 {
        throw ProgramFailure(.unreadable, "standard \(name) is closed: --stream needs both ends of a conversation")
      }
    }
  }

  /// Answers lines until the input ends, the reader leaves, or a signal asks for the end.
  func answerStream(
    _ input: RecommendationInput, _ model: CheckpointModel, _ communicator: any Communicator
  ) throws(CollectiveFailure) {
    let scorer = try model.makeScorer(
      longestQuery: model.state.configuration.maximumSequenceLength, threads: threads, communicator: communicator)
    // There is no other rank.
    try communicator.onRankZero { () throws(ProgramFailure) in try answerLines(input, model, scorer) }
  }

  private func answerLines(_ input: RecommendationInput, _ model: CheckpointModel, _ scorer: ModelScorer) throws(ProgramFailure) {
    if let candidates, input.candidates.isPerUser {
      throw ProgramFailure(
        .usage, "\(candidates) has a list of candidates per user: with --stream give one list for all, and a line's own as \"candidates\"")
    }
    let answers = try StreamAnswers(itemIDs: model.itemIDs, titles: input.titles)
    let recommender = try Recommender(
      scorer: scorer, itemCounts: model.itemCounts, maximumLength: model.state.configuration.maximumSequenceLength)
    let defaults = StreamRequest.Defaults(topK: topK, keepSeen: keepSeen, candidates: input.candidates.shared)

    try StreamEnd.install()
    var (lines, output) = (LineInput(), StandardOutput())
    let threadCount = scorer.threadCount
    printError(
      "ready: \(model.path), \(model.itemIDs.count) items, \(threadCount) thread\(threadCount == 1 ? "" : "s"); a JSON line each, such as "
        + "{\"items\": [\"id\", \"id\"]}")
    var (count, refused) = (0, 0)
    while !output.isClosed {
      let waiting = try lines.next(atMost: Self.linesPerThread * threadCount)
      if waiting.isEmpty { break }
      let requests = waiting.enumerated().map { place, line in
        StreamRequest(line, number: count + place + 1, catalogue: input.catalogue, defaults: defaults)
      }
      count += requests.count
      let lists = recommender.answers(
        to: requests.compactMap { try? $0.outcome.get() }, grouping: model.scoresAlikeTogether ? .shared : .single)
      var (text, next): ([UInt8], Int) = ([], 0)
      for request in requests {
        let answer: Result<RecommendationList, ProgramFailure>
        switch request.outcome {
        case .success:
          answer = lists[next]
          next += 1
        case .failure(let failure): answer = .failure(failure)
        }
        if case .failure = answer { refused += 1 }
        answers.append(answer, to: request, &text)
      }
      try output.writeUntilStopped(text)
    }
    let end = StreamEnd.isRequested ? "asked to end" : output.isClosed ? "the reader has left" : "end of the input"
    printError("\(end): \(count) lines answered\(refused > 0 ? ", \(refused) of them by an error" : "")")
  }
}

extension StreamRequest {
  fileprivate init(_ line: LineInput.Line, number: Int, catalogue: ItemIndex, defaults: Defaults) {
    switch line {
    case .text(let bytes): self.init(bytes, number: number, catalogue: catalogue, defaults: defaults)
    case .tooLong: self.init(refused: "line \(number): longer than \(LineInput.longest) bytes")
    }
  }
}

/// Writes answers as JSON lines.
private struct StreamAnswers {
  private let itemIDs: ExternalIDs
  private let titles: ItemTitles?

  /// Refuses a catalogue that JSON cannot carry, before anything is answered.
  init(itemIDs: ExternalIDs, titles: ItemTitles?) throws(ProgramFailure) {
    for index in 0..<itemIDs.count where String(validating: itemIDs[index], as: UTF8.self) == nil {
      throw ProgramFailure(
        .badData,
        "the id \(PrintableText.quoted(itemIDs[index])) is not UTF-8, which JSON cannot carry; use --histories with --format csv or tsv"
      )
    }
    (self.itemIDs, self.titles) = (itemIDs, titles)
  }

  func append(_ answer: Result<RecommendationList, ProgramFailure>, to request: StreamRequest, _ text: inout [UInt8]) {
    var members = request.user.map { [$0] } ?? []
    switch answer {
    case .success(let list):
      members.append(JSON.Member("items", .array(list.items.map(item))))
      if list.isFallback { members.append(JSON.Member("fallback", .string("popular"))) }
      if request.unknownItems > 0 { members.append(JSON.Member("unknown_items", .integer(request.unknownItems))) }
      if request.unknownCandidates > 0 { members.append(JSON.Member("unknown_candidates", .integer(request.unknownCandidates))) }
    case .failure(let failure): members.append(JSON.Member("error", .string(failure.message)))
    }
    text += Array(JSON.object(members).line.utf8)
    text.append(UInt8(ascii: "\n"))
  }

  private func item(_ scored: ScoredItem) -> JSON {
    var members = [
      JSON.Member("item_id", .string(String(decoding: itemIDs[Int(scored.item) - 1], as: UTF8.self))),
      JSON.Member("score", .number(ScoreText.digits(scored.score))),
    ]
    if let titles { members.append(JSON.Member("title", .string(String(decoding: titles[scored.item], as: UTF8.self)))) }
    return .object(members)
  }
}
