import Communication
import Evaluation
import InteractionData
import SystemSupport
import TestSupport
import Testing

struct RecommendationRequestTests {
  private func recommender(
    itemCount: Int, threads: Int = 1, _ score: @escaping (ArraySlice<Int32>, Int) -> Float
  ) throws -> Recommender {
    try Recommender(
      scorer: FunctionScorer(itemCount: itemCount, score: score), itemCounts: (0..<itemCount).map { Int64((itemCount - $0) / 2 + 1) },
      maximumLength: 9)
  }

  @Test func candidatesAscendOnce() {
    #expect(CandidateItems([5, 2, 5, 9, 2]).items == [2, 5, 9])
    #expect(CandidateItems([]).items.isEmpty)
  }

  /// The list of some items is that of all without the others: same order, same scores, also where there are few of them (scored one by
  /// one) and many (in tiles).
  @Test(arguments: [1, 3, 40, 200, 9000]) func ofCandidatesAlone(count: Int) throws {
    let itemCount = 2 * ScoreTile.width + 900
    let recommender = try recommender(itemCount: itemCount, mixedScore)
    var random = SeededGenerator(seed: UInt64(count))
    let candidates = CandidateItems((0..<count).map { _ in Int32.random(in: 1...Int32(itemCount), using: &random) })
    let chosen = Set(candidates.items)
    for history: [Int32] in [[1, 2, 3], [candidates.items[0], 7]] {
      for keepSeen in [false, true] {
        let all = try recommender.recommend(histories: [history], topK: itemCount, keepSeen: keepSeen)[0].items
        for k in [1, 5, itemCount] {
          let request = RecommendationRequest(history: history, topK: k, keepSeen: keepSeen, candidates: candidates)
          #expect(try recommender.recommend([request])[0].items == Array(all.filter { chosen.contains($0.item) }.prefix(k)))
        }
      }
    }
  }

  @Test func popularCandidatesWhereThereIsNoHistory() throws {
    let recommender = try recommender(itemCount: 9, mixedScore)
    let lists = try recommender.recommend([
      RecommendationRequest(history: [], topK: 3, candidates: CandidateItems([8, 2, 5, 9])),
      RecommendationRequest(history: [], topK: 2), RecommendationRequest(history: [], topK: 4, candidates: CandidateItems([])),
    ])
    // Counts: 5 5 4 4 3 3 2 2 1.
    #expect(lists[0].items == [ScoredItem(item: 2, score: 5), ScoredItem(item: 5, score: 3), ScoredItem(item: 8, score: 2)])
    #expect(lists[1].items.map(\.item) == [1, 2] && lists[2].items.isEmpty)
    #expect(lists.allSatisfy { $0.isFallback })
  }

  @Test func aHeldOutItemStaysThoughItWasSeen() throws {
    let recommender = try recommender(itemCount: 5) { _, token in -Float(token) }
    let history: [Int32] = [2, 4, 1]
    func items(_ heldOut: Int32?) throws -> [Int32] {
      try recommender.recommend([RecommendationRequest(history: history, topK: 9, heldOut: heldOut)])[0].items.map(\.item)
    }
    #expect(try items(nil) == [3, 5])
    #expect(try items(4) == [3, 4, 5])
    #expect(try items(5) == [3, 5])
  }

  /// Each request is answered as it would be alone, whatever stands beside it, and one that fails leaves the others alone.
  @Test(arguments: [Recommender.Grouping.full, .shared, .single]) func eachForItself(grouping: Recommender.Grouping) throws {
    let itemCount = 300
    let recommender = try recommender(itemCount: itemCount) { query, token in
      query.last == 3 && token == 200 ? .infinity : mixedScore(query, token)
    }
    let requests = (0..<150).map { (index: Int) -> RecommendationRequest in
      RecommendationRequest(
        history: index % 13 == 5 ? [] : [Int32(1 + index % 50), Int32(1 + index % 7)], topK: index == 11 ? 0 : 1 + index % 20,
        keepSeen: index % 2 == 0,
        candidates: index % 5 == 0 ? CandidateItems([2, 7, 200]) : index == 77 ? CandidateItems([1, 301]) : nil)
    }
    let answers = recommender.answers(to: requests, grouping: grouping)
    #expect(answers.count == requests.count)
    var failures: [ProgramExitCode: Int] = [:]
    for (request, answer) in zip(requests, answers) {
      #expect(answer == recommender.answers(to: [request])[0] || request == requests[77])
      if case .failure(let failure) = answer { failures[failure.exitCode, default: 0] += 1 }
    }
    let notFinite = requests.count { $0.history.last == 3 }
    #expect(notFinite > 10 && failures == [.internalFault: notFinite, .usage: 1, .badData: 1])
  }

  /// Everything that a request says reaches the rank that answers it.
  @Test(arguments: [1, 2, 3]) func onSeveralRanks(size: Int) throws {
    let requests = (0..<2500).map { (index: Int) -> RecommendationRequest in
      RecommendationRequest(
        history: index % 11 == 3 ? [] : [Int32(1 + index % 50), Int32(1 + index % 7)], topK: index % 9 == 0 ? .max : 1 + index % 6,
        keepSeen: index % 3 == 0,
        candidates: index % 4 == 0 ? nil : CandidateItems((0...(index % 40)).map { Int32(1 + ($0 * 7 + index) % 50) }),
        heldOut: index % 5 == 0 ? Int32(1 + index % 7) : nil)
    }
    let shared = CandidateItems([4, 1, 2, 30, 50])
    @Sendable func recommender() throws(ProgramFailure) -> Recommender {
      try Recommender(
        scorer: FunctionScorer(itemCount: 50, score: mixedScore), itemCounts: (0..<50).map { Int64(50 - $0) }, maximumLength: 9)
    }
    for common in [nil, shared] {
      let expected = try recommender().recommend(
        requests.map { request in
          var request = request
          request.candidates = request.candidates ?? common
          return request
        })
      let results = onRanks(size) { communicator throws(CollectiveFailure) -> [RecommendationList] in
        let isFirst = communicator.rank == 0
        var written: [RecommendationList] = []
        let recommender = try alike { () throws(ProgramFailure) in try recommender() }
        try recommender.recommend(
          count: isFirst ? requests.count : 0, longestList: 50, shared: isFirst ? common : nil, on: communicator,
          request: { requests[$0] }
        ) { _, list in
          written.append(list)
          return true
        }
        return written
      }
      #expect(try results[0].get() == expected)
      for other in results.dropFirst() { #expect(try other.get().isEmpty) }
    }
  }
}
