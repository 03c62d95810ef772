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
/// scores at the mask order the catalogue.
public final class Recommender {
  private let scorer: any SequenceScorer
  private let tokens: TokenIDs
  private let maximumLength: Int
  private let mostPopular: MostPopular
  private var batch = PackedBatch()
  private var topK = TopK()
  private var excluded: ItemMarks

  /// `itemCounts`: occurrences of item `i` at `i - 1`. Throws `usage` when the model was made for another catalogue.
  public init(scorer: any SequenceScorer, itemCounts: [Int64], maximumLength: Int) throws(Failure) {
    tokens = TokenIDs(itemCount: itemCounts.count)
    try checkVocabulary(of: scorer, tokens)
    self.scorer = scorer
    self.maximumLength = maximumLength
    mostPopular = MostPopular(itemCounts: itemCounts)
    excluded = ItemMarks(count: itemCounts.count + 1)
  }

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
    var lists = [RecommendationList](repeating: RecommendationList(items: [], isFallback: true), count: histories.count)
    var waiting: [Int] = []
    for index in histories.indices {
      if histories[index].isEmpty {
        excluded.removeAll()
        lists[index].items = mostPopular.first(k, excluding: excluded)
      } else {
        waiting.append(index)
        if waiting.count == scorer.instancesAtOnce {
          try score(waiting, of: histories, k, keepSeen, into: &lists)
          waiting.removeAll(keepingCapacity: true)
        }
      }
    }
    if !waiting.isEmpty { try score(waiting, of: histories, k, keepSeen, into: &lists) }
    return lists
  }

  private func score(
    _ indices: [Int], of histories: [[Int32]], _ k: Int, _ keepSeen: Bool, into lists: inout [RecommendationList]
  ) throws(Failure) {
    batch.removeAll()
    for (place, index) in indices.enumerated() {
      histories[index].withUnsafeBufferPointer { history in
        batch.appendQuery(history: history, maximumLength: maximumLength, mask: tokens.mask, place: place)
      }
    }
    let scores = try scorer.checkedScores(batch)
    let size = tokens.vocabularySize
    for (place, index) in indices.enumerated() {
      let row = UnsafeBufferPointer(rebasing: scores[(place * size)..<((place + 1) * size)])
      guard ScoreRow(row).isFinite else {
        throw Failure(
          .internalFault,
          "the model's scores for history \(index) are not finite: the checkpoint is damaged or its training diverged; "
            + "use an earlier checkpoint")
      }
      excluded.removeAll()
      if !keepSeen { for item in histories[index] { excluded.insert(Int(item)) } }
      let items = topK.select(min(k, tokens.itemCount), scores: row, itemCount: tokens.itemCount, excluding: excluded)
      lists[index] = RecommendationList(items: items, isFallback: false)
    }
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
