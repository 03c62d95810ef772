import Communication
import Evaluation
import Foundation
import InteractionData
import Masking
import SystemSupport
import TableSharding
import Testing

/// `FunctionScorer`'s scores where each rank may look at its own tiles and at what it has fetched alone. What the projection reads is
/// the query itself: its length and its items.
private final class FunctionShards: ShardedScorer {
  let vocabularySize: Int
  let rowWidth: Int
  let tokensPerFetch: Int
  let longestQuery: Int
  let shardScorers: [any ShardTileScorer]
  private let fetched: Fetched

  fileprivate final class Fetched: @unchecked Sendable {
    var tokens: Set<Int32> = []
    var fetches = 0
  }

  init(
    itemCount: Int, longestQuery: Int, tokensPerFetch: Int, threads: Int, _ communicator: any Communicator,
    score: @escaping @Sendable (ArraySlice<Int32>, Int) -> Float
  ) {
    vocabularySize = itemCount + 4
    (self.longestQuery, self.tokensPerFetch) = (longestQuery, tokensPerFetch)
    rowWidth = longestQuery + 1
    let fetched = Fetched()
    self.fetched = fetched
    let ownership = RowOwnership(rowCount: itemCount + 4, size: communicator.size)
    shardScorers = (0..<threads).map { _ in Tiles(ownership, communicator.rank, fetched, width: longestQuery + 1, score) }
  }

  var fetches: Int { fetched.fetches }

  func fetch(_ tokens: [Int32]) {
    precondition(zip(tokens, tokens.dropFirst()).allSatisfy { $0 < $1 })
    fetched.tokens = Set(tokens)
    fetched.fetches += 1
  }

  private final class Tiles: ShardTileScorer {
    private let ownership: RowOwnership
    private let rank: Int
    private let fetched: Fetched
    private let width: Int
    private let score: @Sendable (ArraySlice<Int32>, Int) -> Float
    private var queries: [[Int32]] = []
    private let scores: UnsafeMutablePointer<Float> = .allocate(capacity: EvaluationBlock.size * ScoreTile.width)

    init(
      _ ownership: RowOwnership, _ rank: Int, _ fetched: Fetched, width: Int, _ score: @escaping @Sendable (ArraySlice<Int32>, Int) -> Float
    ) {
      (self.ownership, self.rank, self.fetched, self.width, self.score) = (ownership, rank, fetched, width, score)
    }

    deinit { scores.deallocate() }

    func encode(_ batch: PackedBatch, into rows: UnsafeMutablePointer<Float>) {
      for instance in 0..<batch.instanceCount {
        let tokens = batch.tokens[batch.tokenRange(of: instance)]
        precondition(tokens.allSatisfy(fetched.tokens.contains))
        (rows + instance * width).update(repeating: .nan, count: width)
        rows[instance * width] = Float(tokens.count - 1)
        for (place, token) in tokens.dropLast().enumerated() { rows[instance * width + 1 + place] = Float(token) }
      }
    }

    func begin(rows: UnsafePointer<Float>, count: Int) {
      queries = (0..<count).map { instance in
        (0..<Int(rows[instance * width])).map { Int32(rows[instance * width + 1 + $0]) }
      }
    }

    func score(instance: Int, token: Int) -> Float {
      precondition(ownership.owner(ofRow: token) == rank || fetched.tokens.contains(Int32(token)))
      return score(queries[instance][...], token)
    }

    func tile(_ tokens: Range<Int>) -> ScoreTile {
      precondition(
        ownership.owner(ofRow: tokens.lowerBound) == rank && tokens == ownership.rows(ofBlock: tokens.lowerBound / ScoreTile.width))
      for (instance, query) in queries.enumerated() {
        for (place, token) in tokens.enumerated() { scores[instance * ScoreTile.width + place] = score(query[...], token) }
      }
      return ScoreTile(scores, stride: ScoreTile.width, tokens: tokens)
    }
  }
}

/// A table whose tiles belong to several ranks: the same digits as with one on each rank.
@Suite struct ShardedEvaluationTests {
  private static let itemCount = 3 * ScoreTile.width + 500

  /// Histories all over the catalogue, some short, some with the label in them.
  private static func data(users: Int) -> Dataset {
    let sequences: [[Int32]] = (0..<users).map { user in
      let length = user % 7
      var items = (0...length).map { Int32(1 + (user * 7919 + $0 * $0 * 3571) % itemCount) }
      if user % 5 == 0 { items.append(items[0]) }
      return items
    }
    return dataset(sequences, itemCount: itemCount)
  }

  private static func shards(_ communicator: any Communicator, threads: Int = 1, tokensPerFetch: Int = 700) -> FunctionShards {
    FunctionShards(
      itemCount: itemCount, longestQuery: 5, tokensPerFetch: tokensPerFetch, threads: threads, communicator, score: mixedScore)
  }

  /// Rounds with all ranks' users, ranks without any, several fetches per round.
  @Test(arguments: [false, true])
  func sameDigits(keepSeen: Bool) throws {
    let data = Self.data(users: 64 * 5 + 11)
    @Sendable func texts(_ report: EvaluationReport, _ hook: RecordingHook) -> [String] {
      [report.json, report.table, "\(report.lines)", "\(hook.results)", "\(hook.calls)"]
    }
    let sample = UserSample(count: 100, seed: 3)
    @Sendable func run(_ evaluator: Evaluator, _ scorer: RankScorer) throws(CollectiveFailure) -> [String] {
      var all: [String] = []
      for (split, sample) in [(EvaluationSplit.test, nil), (.validation, nil), (.validation, sample)] {
        let hook = RecordingHook()
        guard let report = try evaluator.evaluate(scorer, split: split, sample: sample, step: 4, hooks: [hook]) else { continue }
        all += texts(report, hook)
      }
      return all
    }
    let evaluator = Evaluator(dataset: data, maximumLength: 5, keepSeen: keepSeen, communicator: solo())
    let expected = try run(evaluator, .replicas(FunctionScorer(itemCount: Self.itemCount, score: mixedScore)))
    #expect(expected.count == 15)
    for (size, threads) in [(1, 1), (1, 3), (2, 2), (3, 1), (8, 1)] {
      let results = onRanks(size) { communicator throws(CollectiveFailure) -> [String] in
        let scorer = Self.shards(communicator, threads: threads)
        let evaluator = Evaluator(dataset: data, maximumLength: 5, keepSeen: keepSeen, communicator: communicator)
        let all = try run(evaluator, .sharded(scorer))
        return communicator.rank == 0 ? all : ["\(scorer.fetches)"]
      }
      #expect(try results[0].get() == expected, "\(size) ranks")
      // Every rank takes part in every fetch.
      if size > 2 { #expect(try Set(results[1...].map { try $0.get() }).count == 1) }
    }
  }

  /// More rounds than one on a rank.
  @Test func severalRounds() throws {
    let itemCount = 64 * 34
    let sequences = (1...itemCount).map { (user: Int) -> [Int32] in [Int32(user), 7, Int32(user % 90 + 1)] }
    let data = dataset(sequences, itemCount: itemCount)
    let expected = try Evaluator(dataset: data, maximumLength: 5, communicator: solo()).evaluate(
      FunctionScorer(itemCount: itemCount, score: mixedScore), split: .test, protocols: [.full, .uniform100], step: 0)?.json
    let results = onRanks(1) { communicator throws(CollectiveFailure) in
      let scorer = FunctionShards(
        itemCount: itemCount, longestQuery: 5, tokensPerFetch: 1 << 15, threads: 2, communicator, score: mixedScore)
      return try Evaluator(dataset: data, maximumLength: 5, communicator: communicator).evaluate(
        .sharded(scorer), split: .test, protocols: [.full, .uniform100], step: 0)?.json
    }
    #expect(try results[0].get() == expected)
  }

  /// The failure of the first user in order, on every rank.
  @Test(arguments: [1, 2, 3])
  func nonFiniteScoresStopEveryRank(size: Int) {
    let data = dataset((0..<300).map { [Int32($0 + 1), 301, 302] }, itemCount: Self.itemCount)
    let failures = onRanks(size) { communicator throws(CollectiveFailure) in
      let scorer = FunctionShards(itemCount: Self.itemCount, longestQuery: 9, tokensPerFetch: 5000, threads: 1, communicator) {
        query, token in
        ((query.first == 200 && token == 17) || (query.first == 71 && token == 9000)) ? .infinity : 0
      }
      return try Evaluator(dataset: data, maximumLength: 9, communicator: communicator).evaluate(
        .sharded(scorer), split: .test, protocols: [.full], step: 0)
    }
    expectNotFinite(failures, ranks: size, user: 70)
  }

  /// One rank that is asked to stop ends it on all.
  @Test func stops() {
    let data = Self.data(users: 200)
    let failures = onRanks(3) { communicator throws(CollectiveFailure) in
      let rank = communicator.rank
      return try Evaluator(dataset: data, maximumLength: 5, communicator: communicator).evaluate(
        .sharded(Self.shards(communicator)), split: .test, step: 0, shouldStop: { rank == 1 })
    }
    #expect(failures.count == 3)
    for failure in failures {
      #expect(throws: CollectiveFailure.onEveryRank(.stopped, "the evaluation was asked to stop")) { try failure.get() }
    }
  }

  /// Lists of all kinds of requests: few and many candidates, seen items, none at all.
  @Test func sameLists() throws {
    let counts = (0..<Self.itemCount).map { Int64($0 % 977) }
    let many = CandidateItems((0..<6000).map { Int32(1 + $0 * 2) })
    let few = CandidateItems([5, 4099, 8200, 12_000, 12_788, 17])
    let choices: [CandidateItems?] = [nil, many, few]
    let requests = (0..<150).map { (index: Int) -> RecommendationRequest in
      let length = index % 11 == 3 ? 0 : 1 + index % 6
      let history = (0..<length).map { (place: Int) -> Int32 in Int32(1 + (index * 7919 + place * 3571) % Self.itemCount) }
      return RecommendationRequest(
        history: history, topK: 1 + index % 20, keepSeen: index % 3 == 0, candidates: choices[index % 5 / 2],
        heldOut: index % 7 == 0 ? 5 : nil)
    }
    let scorer = FunctionScorer(itemCount: Self.itemCount, score: mixedScore)
    let expected = try Recommender(scorer: scorer, itemCounts: counts, maximumLength: 5).recommend(requests)
    for size in [1, 2, 3, 5] {
      let results = onRanks(size) { communicator throws(CollectiveFailure) -> [RecommendationList] in
        let source = try communicator.onEveryRank { () throws(ProgramFailure) in
          try RankScorer.sharded(Self.shards(communicator, threads: 2)).makeListSource(itemCounts: counts, maximumLength: 5)
        }
        var lists: [RecommendationList] = []
        try RecommendationRounds(source: source, communicator: communicator).run(
          count: requests.count, longestList: 20, request: { requests[$0] }
        ) { (_, list) throws(ProgramFailure) in
          lists.append(list)
          return true
        }
        return lists
      }
      #expect(try results[0].get() == expected, "\(size) ranks")
    }
  }

  /// What a rank takes is bounded, whatever the catalogue.
  @Test func memory() {
    func bytes(_ vocabulary: Int, ranks: Int = 4) -> Int { ShardedBlocks.byteCount(rowWidth: 64, vocabularySize: vocabulary, ranks: ranks) }
    #expect(bytes(100_000_000, ranks: 1) <= 64 << 20)
    #expect(bytes(10_000_000) <= 64 << 20)
    #expect(bytes(10_000_000, ranks: 64) <= 64 << 20)
    #expect(bytes(10_000) < bytes(1_000_000))
  }
}
