import InteractionData
import MaskedInstances
import SystemSupport

/// What is recommended for one history, best first.
public struct RecommendationList: Sendable, Equatable {
  public var items: [ScoredItem]
  /// True when there was no history to go by: these are the most popular items, and the scores are their counts.
  public var isFallback: Bool

  public init(items: [ScoredItem], isFallback: Bool) {
    self.items = items
    self.isFallback = isFallback
  }
}

/// Recommends next items: the model is given the last `maximumLength - 1` items of a history and `[MASK]`, and its
/// scores at the mask order the catalogue. All threads that the scorer has memory for share the histories.
public final class Recommender {
  let tokens: TokenIDs
  private let instancesAtOnce: Int
  private let mostPopular: MostPopular
  private let work: RecommendationWork
  private let queue: WorkQueue

  /// `itemCounts`: occurrences of item `i` at `i - 1`. Throws `usage` when the model was made for another catalogue.
  public init(scorer: any SequenceScorer, itemCounts: [Int64], maximumLength: Int) throws(Failure) {
    let tokens = TokenIDs(itemCount: itemCounts.count)
    try checkVocabulary(of: scorer, tokens)
    self.tokens = tokens
    mostPopular = MostPopular(itemCounts: itemCounts)
    let scorers = scorer.workers.map { ListScorer($0, tokens: tokens, maximumLength: maximumLength) }
    instancesAtOnce = scorers[0].instancesAtOnce
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
  ) throws(Failure) -> [RecommendationList] {
    guard k >= 1 else { throw Failure(.usage, "top-k is \(k); it must be at least 1") }
    for (index, history) in histories.enumerated() {
      for item in history where item < 1 || Int(item) > tokens.itemCount {
        throw Failure(.badData, "history \(index) holds the item id \(item); items are 1 to \(tokens.itemCount)")
      }
    }
    let popular = mostPopular.first(k, excluding: ItemMarks(count: tokens.itemCount + 1))
    var lists = [RecommendationList](
      repeating: RecommendationList(items: popular, isFallback: true), count: histories.count)
    let known = histories.indices.filter { !histories[$0].isEmpty }
    work.begin(
      stride(from: 0, to: known.count, by: instancesAtOnce).map {
        Array(known[$0..<min($0 + instancesAtOnce, known.count)])
      }, of: histories, k: min(k, tokens.itemCount), keepSeen: keepSeen)
    queue.run(pieces: work.pieces.count)
    let results = work.take()
    for (piece, result) in zip(work.pieces, results) {
      for (index, items) in zip(piece, try result.get()) {
        lists[index] = RecommendationList(items: items, isFallback: false)
      }
    }
    return lists
  }
}

/// What the threads of a recommender share: each writes into places of its own.
private final class RecommendationWork: @unchecked Sendable {
  private let scorers: [ListScorer]
  private(set) var pieces: [[Int]] = []
  private var histories: [[Int32]] = []
  private var k = 1
  private var keepSeen = false
  private var results = UnsafeMutableBufferPointer<Result<[[ScoredItem]], Failure>>(start: nil, count: 0)

  init(_ scorers: [ListScorer]) { self.scorers = scorers }

  /// `pieces`: indices of histories that are scored together.
  func begin(_ pieces: [[Int]], of histories: [[Int32]], k: Int, keepSeen: Bool) {
    self.pieces = pieces
    self.histories = histories
    self.k = k
    self.keepSeen = keepSeen
    results = .allocate(capacity: pieces.count)
    results.initialize(repeating: .success([]))
  }

  func score(thread: Int, piece: Int) {
    do throws(Failure) {
      results[piece] = .success(try scorers[thread].lists(pieces[piece], of: histories, k: k, keepSeen: keepSeen))
    } catch { results[piece] = .failure(error) }
  }

  func take() -> [Result<[[ScoredItem]], Failure>] {
    defer {
      results.deinitialize()
      results.deallocate()
      histories = []
    }
    return Array(results)
  }
}

/// One thread's part.
private final class ListScorer {
  private let scorer: any TileScorer
  private let tokens: TokenIDs
  private let maximumLength: Int
  private var batch = PackedBatch()
  private var excluded: [ExcludedTokens]
  private var topK: [TopK]

  init(_ scorer: any TileScorer, tokens: TokenIDs, maximumLength: Int) {
    self.scorer = scorer
    self.tokens = tokens
    self.maximumLength = maximumLength
    excluded = [ExcludedTokens](repeating: ExcludedTokens(), count: scorer.instancesAtOnce)
    topK = [TopK](repeating: TopK(), count: scorer.instancesAtOnce)
  }

  var instancesAtOnce: Int { scorer.instancesAtOnce }

  /// The best items for some of the histories, none of which is empty.
  func lists(
    _ indices: [Int], of histories: [[Int32]], k: Int, keepSeen: Bool
  ) throws(Failure) -> [[ScoredItem]] {
    batch.removeAll()
    for (place, index) in indices.enumerated() {
      histories[index].withUnsafeBufferPointer { history in
        batch.appendQuery(history: history, maximumLength: maximumLength, mask: tokens.mask, place: place)
        excluded[place].set(history: keepSeen ? UnsafeBufferPointer(rebasing: history[..<0]) : history, tokens)
      }
      topK[place].begin(k)
    }
    try scorer.begin(batch)
    var firstNonFinite: Int?
    ScoreTile.forEach(scorer, vocabularySize: tokens.vocabularySize) { tile in
      for place in indices.indices {
        let row = tile.row(place)
        if row.summary(comparedWith: 0).isFinite {
          topK[place].take(row, excluding: excluded[place])
        } else {
          firstNonFinite = min(firstNonFinite ?? place, place)
        }
      }
    }
    if let place = firstNonFinite {
      throw Failure(
        .internalFault,
        "the model's scores for history \(indices[place]) are not finite: the checkpoint is damaged or its training diverged; "
          + "use an earlier checkpoint")
    }
    return indices.indices.map { topK[$0].finish() }
  }
}

/// A model scores exactly the tokens of the catalogue it was trained on.
func checkVocabulary(of scorer: any SequenceScorer, _ tokens: TokenIDs) throws(Failure) {
  guard tokens.itemCount >= 1 else { throw Failure(.badData, "the catalogue has no items") }
  guard scorer.vocabularySize == tokens.vocabularySize else {
    throw Failure(
      .usage,
      "the model has \(scorer.vocabularySize) token rows, but \(tokens.itemCount) items need \(tokens.vocabularySize): "
        + "it was trained on another catalogue; use the data set it was trained on")
  }
}
