import InteractionData
import Masking
import SystemSupport

/// What is recommended for one history, best first.
public struct RecommendationList: Sendable, Equatable {
  /// The best first.
  public var items: [ScoredItem]
  /// True when there was no history to go by: these are the most popular items, and the scores are their counts.
  public var isFallback: Bool

  /// A list and where it came from.
  public init(items: [ScoredItem], isFallback: Bool) {
    self.items = items
    self.isFallback = isFallback
  }
}

/// Recommends next items: the model is given the last `maximumLength - 1` items of a history and `[MASK]`, and its
/// scores at the mask order the catalogue. All threads that the scorer has memory for share the histories.
public final class Recommender {
  package let tokens: TokenIDs
  /// Most histories that one thread scores together.
  public let instancesAtOnce: Int
  private let threadCount: Int
  private let itemCounts: [Int64]
  /// Found when somebody has no history: sorting a large catalogue takes a while.
  private lazy var mostPopular = MostPopular(itemCounts: itemCounts)
  private let work: RecommendationWork
  private let queue: WorkQueue

  /// `itemCounts`: occurrences of item `i` at `i - 1`. Throws `usage` when the model was made for another catalogue.
  public init(scorer: any SequenceScorer, itemCounts: [Int64], maximumLength: Int) throws(ProgramFailure) {
    let tokens = TokenIDs(itemCount: itemCounts.count)
    try checkVocabulary(scorer.vocabularySize, tokens)
    self.tokens = tokens
    self.itemCounts = itemCounts
    let scorers = scorer.workers.map { ListScorer($0, tokens: tokens, maximumLength: maximumLength) }
    instancesAtOnce = scorers[0].instancesAtOnce
    threadCount = scorers.count
    let work = RecommendationWork(scorers)
    self.work = work
    queue = try WorkQueue(threads: scorers.count) { thread, piece in work.score(thread: thread, piece: piece) }
  }

  deinit { queue.stop() }

  /// One list a history, in the same order, each of `topK` items or of what is left of the catalogue.
  ///
  /// Items of the history are left out unless `keepSeen`. A history without items gets the most popular ones
  /// (`isFallback`). Throws `usage` when `topK` is below 1, `badData` when a history holds what is not an item,
  /// `internalFault` when scores are not finite.
  public func recommend(
    histories: [[Int32]], topK k: Int, keepSeen: Bool = false
  ) throws(ProgramFailure) -> [RecommendationList] {
    guard k >= 1 else { throw ProgramFailure(.usage, "top-k is \(k); it must be at least 1") }
    return try recommend(histories.map { RecommendationRequest(history: $0, topK: k, keepSeen: keepSeen) })
  }

  /// One list a request, in the same order. Throws the first failure of `answers(to:grouping:)`.
  public func recommend(_ requests: [RecommendationRequest]) throws(ProgramFailure) -> [RecommendationList] {
    var lists: [RecommendationList] = []
    lists.reserveCapacity(requests.count)
    for answer in answers(to: requests) { lists.append(try answer.get()) }
    return lists
  }

  /// How histories are put together for a thread to score at once.
  public enum Grouping: Sendable {
    /// As many as a thread can: the least work.
    case full
    /// Equal shares for all threads: the soonest answers to few requests.
    case shared
    /// Each by itself, so that nothing but a history shapes its scores even where the backend does not promise that.
    case single
  }

  /// An answer per request, in the same order: its list, or `usage` where `topK` is below 1, `badData` where the history or the
  /// candidates hold what is not an item, `internalFault` where scores are not finite. The other requests are answered all the same.
  public func answers(
    to requests: [RecommendationRequest], grouping: Grouping = .full
  ) -> [Result<RecommendationList, ProgramFailure>] {
    var answers: [Result<RecommendationList, ProgramFailure>] = []
    answers.reserveCapacity(requests.count)
    var known: [Int] = []
    for (index, request) in requests.enumerated() {
      if let failure = request.failure(index, tokens) {
        answers.append(.failure(failure))
      } else {
        if !request.history.isEmpty { known.append(index) }
        answers.append(.success(RecommendationList(items: request.history.isEmpty ? mostPopular.answer(request) : [], isFallback: true)))
      }
    }
    if known.isEmpty { return answers }
    let size =
      switch grouping {
      case .full: instancesAtOnce
      case .shared: min(instancesAtOnce, (known.count + threadCount - 1) / threadCount)
      case .single: 1
      }
    let groups = stride(from: 0, to: known.count, by: size).map { Array(known[$0..<min($0 + size, known.count)]) }
    // Threads without a group would wait: they take some of the tiles of the others'.
    let tiles = ScoreTile.count(vocabularySize: tokens.vocabularySize)
    let parts = max(1, min(threadCount / groups.count, tiles / ListScorer.fewestTiles))
    work.begin(groups, parts: parts, of: requests)
    queue.run(pieces: groups.count * parts)
    let results = work.take()
    for (number, group) in groups.enumerated() {
      let ofParts = results[number * parts..<(number + 1) * parts]
      for (place, index) in group.enumerated() {
        answers[index] = best(requests[index].topK, of: ofParts.map { $0[place] }).map { RecommendationList(items: $0, isFallback: false) }
      }
    }
    return answers
  }

  /// The best of what several parts of the tiles have, or a failure where one has failed.
  private func best(
    _ count: Int, of lists: [Result<[ScoredItem], ProgramFailure>]
  ) -> Result<[ScoredItem], ProgramFailure> {
    if lists.count == 1 { return lists[0] }
    var all: [ScoredItem] = []
    for list in lists {
      switch list {
      case .success(let items): all += items
      case .failure: return list
      }
    }
    all.sort { $0.score != $1.score ? $0.score > $1.score : $0.item < $1.item }
    return .success(Array(all.prefix(count)))
  }
}

extension RecommendationRequest {
  /// Why it cannot be answered; `index` names it.
  func failure(_ index: Int, _ tokens: TokenIDs) -> ProgramFailure? {
    if topK < 1 { return ProgramFailure(.usage, "top-k is \(topK); it must be at least 1") }
    for (name, items) in [("history", history), ("the candidates of history", candidates?.items ?? [])] {
      for item in items where item < 1 || Int(item) > tokens.itemCount {
        return ProgramFailure(.badData, "\(name) \(index) holds the item id \(item); items are 1 to \(tokens.itemCount)")
      }
    }
    return nil
  }
}

extension MostPopular {
  /// For a request without a history.
  func answer(_ request: RecommendationRequest) -> [ScoredItem] {
    if let candidates = request.candidates { return first(request.topK, among: candidates) }
    return first(request.topK)
  }
}

/// What the threads of a recommender share: each writes into places of its own.
private final class RecommendationWork: @unchecked Sendable {
  private let scorers: [ListScorer]
  private var groups: [[Int]] = []
  private var parts = 1
  private var requests: [RecommendationRequest] = []
  private var results = UnsafeMutableBufferPointer<[Result<[ScoredItem], ProgramFailure>]>(start: nil, count: 0)

  init(_ scorers: [ListScorer]) { self.scorers = scorers }

  /// `groups`: indices of requests that are scored together, each in `parts` pieces.
  func begin(_ groups: [[Int]], parts: Int, of requests: [RecommendationRequest]) {
    (self.groups, self.parts) = (groups, parts)
    self.requests = requests
    results = .allocate(capacity: groups.count * parts)
    results.initialize(repeating: [])
  }

  func score(thread: Int, piece: Int) {
    results[piece] = scorers[thread].lists(groups[piece / parts], of: requests, part: piece % parts, of: parts)
  }

  func take() -> [[Result<[ScoredItem], ProgramFailure>]] {
    defer {
      results.deinitialize()
      results.deallocate()
      requests = []
    }
    return Array(results)
  }
}

/// A model scores exactly the tokens of the catalogue it was trained on.
func checkVocabulary(_ vocabularySize: Int, _ tokens: TokenIDs) throws(ProgramFailure) {
  guard tokens.itemCount >= 1 else { throw ProgramFailure(.badData, "the catalogue has no items") }
  guard vocabularySize == tokens.vocabularySize else {
    throw ProgramFailure(
      .usage,
      "the model has \(vocabularySize) token rows, but \(tokens.itemCount) items need \(tokens.vocabularySize): "
        + "it was trained on another catalogue; use the data set it was trained on")
  }
}
