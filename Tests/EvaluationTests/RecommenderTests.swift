import Evaluation
import SystemSupport
import Testing

struct RecommenderTests {
  func topK(_ k: Int, _ scores: [Float], itemCount: Int, excluding items: [Int] = []) -> [ScoredItem] {
    var marks = ItemMarks(count: itemCount + 1)
    for item in items { marks.insert(item) }
    var topK = TopK()
    return scores.withUnsafeBufferPointer {
      topK.select(k, scores: $0, itemCount: itemCount, excluding: marks)
    }
  }

  /// Padding and special tokens score best here and never appear.
  @Test func ordersByScoreThenID() {
    let scores: [Float] = [99, 2, 5, 5, 1, 5, 98, 97, 96]
    #expect(topK(3, scores, itemCount: 5).map(\.item) == [2, 3, 5])
    #expect(topK(4, scores, itemCount: 5, excluding: [3]).map(\.item) == [2, 5, 1, 4])
    #expect(topK(9, scores, itemCount: 5, excluding: [2, 3]) == [
      ScoredItem(item: 5, score: 5), ScoredItem(item: 1, score: 2), ScoredItem(item: 4, score: 1),
    ])
  }

  @Test(arguments: [1, 2, 5, 64, 300])
  func agreesWithSorting(k: Int) {
    var random = TestRandom(state: UInt64(k))
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

  @Test func refuses() throws {
    func failure(_ body: () throws -> Void) -> ExitCode? {
      do { try body() } catch { return (error as? Failure)?.exitCode }
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
