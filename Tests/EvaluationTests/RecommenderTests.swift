import Communication
import Evaluation
import InteractionData
import SystemSupport
import TestSupport
import Testing

struct RecommenderTests {
  func topK(_ k: Int, _ scores: [Float], itemCount: Int, excluding items: [Int] = []) -> [ScoredItem] {
    var excluded = ExcludedTokens()
    items.map { Int32($0) }.withUnsafeBufferPointer { excluded.set(history: $0, TokenIDs(itemCount: itemCount)) }
    var topK = TopK()
    topK.begin(k)
    // In tiles of odd sizes.
    for start in stride(from: 0, to: scores.count, by: 97) {
      let tokens = start..<min(start + 97, scores.count)
      scores[tokens].withUnsafeBufferPointer { tile in
        if let first = tile.baseAddress { topK.take(ScoreRow(first, tokens: tokens), excluding: excluded) }
      }
    }
    return topK.finish()
  }

  @Test func excludedTokens() {
    var excluded = ExcludedTokens()
    for history: [Int32] in [[5, 2, 5, 3, 2], [], [4]] {
      history.withUnsafeBufferPointer { excluded.set(history: $0, keeping: 3, TokenIDs(itemCount: 5)) }
      let expected = [0] + Set(history).subtracting([3]).sorted() + [6, 7, 8]
      #expect(excluded.tokens == expected)
      for token in 0..<9 { #expect(excluded.contains(token) == expected.contains(Int32(token))) }
    }
  }

  /// Padding and special tokens score best here and never appear.
  @Test func ordersByScoreThenID() {
    let scores: [Float] = [99, 2, 5, 5, 1, 5, 98, 97, 96]
    #expect(topK(3, scores, itemCount: 5).map(\.item) == [2, 3, 5])
    #expect(topK(4, scores, itemCount: 5, excluding: [3]).map(\.item) == [2, 5, 1, 4])
    #expect(
      topK(9, scores, itemCount: 5, excluding: [2, 3]) == [
        ScoredItem(item: 5, score: 5), ScoredItem(item: 1, score: 2), ScoredItem(item: 4, score: 1),
      ])
  }

  @Test(arguments: [1, 2, 5, 64, 300])
  func agreesWithSorting(k: Int) {
    var random = SeededGenerator(seed: UInt64(k))
    let itemCount = 301
    let scores = (0..<(itemCount + 4)).map { _ in Float(Int.random(in: 0..<60, using: &random)) }
    let excluded = (0..<40).map { _ in Int.random(in: 1...itemCount, using: &random) }
    let expected = (1...itemCount).filter { !excluded.contains($0) }
      .sorted { (-scores[$0], $0) < (-scores[$1], $1) }.prefix(k)
    #expect(topK(k, scores, itemCount: itemCount, excluding: excluded).map { Int($0.item) } == Array(expected))
  }

  @Test func marksAreEmptiedAtOnce() {
    var marks = ItemMarks(count: 3)
    let first = marks.insert(2)
    let again = marks.insert(2)
    marks.removeAll()
    #expect((first, again) == (true, false))
    #expect(!marks.contains(2))
    #expect(!marks.contains(0))
    let later = marks.insert(2)
    #expect(later)
  }

  let counts: [Int64] = [2, 9, 4, 9, 1]

  @Test func recommends() throws {
    // The next id after the last one scores best, then the one after it, ...
    let scorer = FunctionScorer(itemCount: 5) { query, token in -Float((token + 9 - Int(query.last ?? 0)) % 9) }
    let recommender = try Recommender(scorer: scorer, itemCounts: counts, maximumLength: 3)
    let lists = try recommender.recommend(histories: [[1], [], [5, 1, 2], [3, 4]], topK: 2)
    #expect(lists.map(\.isFallback) == [false, true, false, false])
    #expect(lists.map { $0.items.map(\.item) } == [[2, 3], [2, 4], [3, 4], [5, 1]])
    #expect(lists[1].items.map(\.score) == [9, 9])
    #expect(lists[0].items.map(\.score) == [-1, -2])
    let seen = try recommender.recommend(histories: [[1]], topK: 9, keepSeen: true)
    #expect(seen[0].items.map(\.item) == [1, 2, 3, 4, 5])
    #expect(try recommender.recommend(histories: [[1, 2, 3, 4, 5, 1]], topK: 3)[0].items.isEmpty)
    #expect(try recommender.recommend(histories: [], topK: 3).isEmpty)
  }

  /// The query is the last `maximumLength - 1` items.
  @Test func queriesAreCut() throws {
    let scorer = FunctionScorer(itemCount: 5) { query, token in token == query.count ? 1 : 0 }
    let recommender = try Recommender(scorer: scorer, itemCounts: counts, maximumLength: 4)
    let lists = try recommender.recommend(
      histories: [[1], [1, 2], [1, 2, 3], [1, 2, 3, 4], [1, 2, 3, 4, 5]], topK: 1, keepSeen: true)
    #expect(lists.map { $0.items[0].item } == [1, 2, 3, 3, 3])
  }

  @Test func manyHistoriesComeBackInOrder() throws {
    let scorer = FunctionScorer(itemCount: 50) { query, token in Int32(token) == query.last ? 1 : 0 }
    let recommender = try Recommender(scorer: scorer, itemCounts: [Int64](repeating: 1, count: 50), maximumLength: 9)
    let histories = (0..<150).map { $0 % 7 == 3 ? [] : [Int32(1 + $0 % 50)] }
    let lists = try recommender.recommend(histories: histories, topK: 1, keepSeen: true)
    for (history, list) in zip(histories, lists) { #expect(list.items[0].item == history.last ?? 1) }
    #expect(scorer.calls == [64, 64, 1])
  }

  /// Rank 0's histories on all ranks, in several rounds: the same lists in the same order.
  @Test(arguments: [1, 2, 3]) func onSeveralRanks(size: Int) throws {
    let histories = (0..<3000).map { (index: Int) -> [Int32] in index % 11 == 3 ? [] : [Int32(1 + index % 50), Int32(1 + index % 7)] }
    @Sendable func scorer() -> FunctionScorer { FunctionScorer(itemCount: 50, score: mixedScore) }
    let counts = (0..<50).map { Int64(50 - $0) }
    let expected = try Recommender(scorer: scorer(), itemCounts: counts, maximumLength: 9).recommend(
      histories: histories, topK: 4)
    for wanted in [3000, 1500] {
      let results = onRanks(size) { communicator throws(CollectiveFailure) -> [RecommendationList] in
        var written: [RecommendationList] = []
        let recommender = try alike { () throws(ProgramFailure) in
          try Recommender(scorer: scorer(), itemCounts: counts, maximumLength: 9)
        }
        try recommender.recommend(
          count: communicator.rank == 0 ? histories.count : 0, topK: 4, keepSeen: false, on: communicator,
          history: { histories[$0] }
        ) { index, list in
          #expect(index == written.count)
          written.append(list)
          return written.count < wanted
        }
        return written
      }
      #expect(try results[0].get() == Array(expected.prefix(wanted)))
      for other in results.dropFirst() { #expect(try other.get().isEmpty) }
    }
  }

  @Test func whatFailsOnOneRankFailsOnAll() {
    let results = onRanks(2) { communicator throws(CollectiveFailure) -> Bool in
      let scorer = FunctionScorer(itemCount: 5) { query, _ in query.last == 3 ? .nan : 0 }
      let recommender = try alike { () throws(ProgramFailure) in
        try Recommender(scorer: scorer, itemCounts: [2, 9, 4, 9, 1], maximumLength: 4)
      }
      try recommender.recommend(
        count: 2, topK: 1, keepSeen: false, on: communicator, history: { [[1], [3]][$0] }, write: { _, _ in true })
      return true
    }
    for result in results {
      do { _ = try result.get() } catch {
        #expect(error.exitCode == .internalFault && error.reach == .everyRank)
        continue
      }
      Issue.record("no failure")
    }
  }

  @Test func refuses() throws {
    func failure(_ body: () throws -> Void) -> ProgramExitCode? {
      do { try body() } catch { return (error as? ProgramFailure)?.exitCode }
      return nil
    }
    let scorer = FunctionScorer(itemCount: 5) { query, token in query.last == 3 && token == 2 ? .nan : 0 }
    let recommender = try Recommender(scorer: scorer, itemCounts: counts, maximumLength: 4)
    #expect(failure { _ = try recommender.recommend(histories: [[1], [3]], topK: 1) } == .internalFault)
    #expect(failure { _ = try recommender.recommend(histories: [[1]], topK: 0) } == .usage)
    #expect(failure { _ = try recommender.recommend(histories: [[6]], topK: 1) } == .badData)
    #expect(failure { _ = try recommender.recommend(histories: [[0]], topK: 1) } == .badData)
    #expect(failure { _ = try Recommender(scorer: scorer, itemCounts: [1, 2], maximumLength: 4) } == .usage)
  }
}
