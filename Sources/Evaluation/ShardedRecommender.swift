import Communication
import InteractionData
import Masking
import SystemSupport
import TableSharding

/// Recommends next items with a table whose tiles belong to several ranks: what `Recommender` does where each rank has all of it, with
/// the same lists.
package final class ShardedRecommender: ListSource {
  package let tokens: TokenIDs
  private let scorer: any ShardedScorer
  private let itemCounts: [Int64]
  /// Found when somebody has no history: sorting a large catalogue takes a while.
  private lazy var mostPopular = MostPopular(itemCounts: itemCounts)
  private let maximumLength: Int
  /// For lists of the length that they were made for.
  private var rounds: (longestList: Int, rounds: ShardRounds)?

  /// `itemCounts`: occurrences of item `i` at `i - 1`. Throws `usage` when the model was made for another catalogue.
  package init(scorer: any ShardedScorer, itemCounts: [Int64], maximumLength: Int) throws(ProgramFailure) {
    tokens = TokenIDs(itemCount: itemCounts.count)
    try checkVocabulary(scorer.vocabularySize, tokens)
    self.scorer = scorer
    self.maximumLength = maximumLength
    self.itemCounts = itemCounts
  }

  /// Each rank finds a list for each request of all ranks.
  package func requestsPerRound(longestList: Int, ranks: Int) -> Int {
    max(1, RecommendationRounds.requestsPerRound(longestList: min(longestList, tokens.itemCount)) / ranks)
  }

  package func lists(
    _ own: [RecommendationRequest], longestList: Int, on communicator: any Communicator
  ) throws(CollectiveFailure) -> [RecommendationList] {
    try communicator.onEveryRank { () throws(ProgramFailure) in
      for (index, request) in own.enumerated() { if let failure = request.failure(index, tokens) { throw failure } }
    }
    precondition(own.allSatisfy { $0.topK <= longestList }, "a longer list")
    let rounds = try rounds(longestList: longestList, communicator)
    let known = own.filter { !$0.history.isEmpty }
    let all = try communicator.allGather(known)
    let counts = all.map(\.count)
    let groups = stride(from: 0, to: known.count, by: EvaluationBlock.size).map { $0..<min($0 + EvaluationBlock.size, known.count) }
    let questions = HistoryQuestions(
      all, rank: communicator.rank, tokens, maximumLength: maximumLength, tiles: rounds.tiles, threads: scorer.shardScorers.count)
    try rounds.run(
      questions, counts: counts, groups: groups,
      mostGroups: ((counts.max() ?? 0) + EvaluationBlock.size - 1) / EvaluationBlock.size)
    return try communicator.onEveryRank { () throws(ProgramFailure) in
      var (lists, next): ([RecommendationList], Int) = ([], 0)
      for request in own {
        if request.history.isEmpty {
          lists.append(RecommendationList(items: mostPopular.answer(request), isFallback: true))
          continue
        }
        var question = ListQuestion()
        question.begin(request, tokens)
        for rank in 0..<communicator.size {
          var reader = WordReader(rounds.findings(for: next, of: rank))
          question.takeFindings(&reader)
        }
        next += 1
        lists.append(RecommendationList(items: try question.finish().get(), isFallback: false))
      }
      return lists
    }
  }

  private func rounds(longestList: Int, _ communicator: any Communicator) throws(CollectiveFailure) -> ShardRounds {
    if let rounds, rounds.longestList == longestList { return rounds.rounds }
    let words = ListQuestion.findingWords(longestList: min(longestList, tokens.itemCount))
    let shape = ShardRounds.Shape(
      capacity: requestsPerRound(longestList: longestList, ranks: communicator.size), rowWidth: scorer.rowWidth, questionWords: 0,
      findingWords: [Int](repeating: words, count: communicator.size))
    let made = try communicator.onEveryRank { () throws(ProgramFailure) in
      try ShardRounds(scorer, shape, communicator: communicator)
    }
    rounds = (longestList, made)
    return made
  }
}

/// The histories of a round, none of which is empty.
private final class HistoryQuestions: ShardedQuestions, @unchecked Sendable {
  private let all: [RecommendationRequest]
  /// The number of the first one of this rank.
  private let first: Int
  private let rank: Int
  private let tokens: TokenIDs
  private let maximumLength: Int
  private let ownership: RowOwnership
  private let tiles: [Range<Int>]
  private let scratch: [Scratch]

  /// A thread's.
  private final class Scratch {
    var questions = [ListQuestion](repeating: ListQuestion(), count: EvaluationBlock.size)
  }

  init(_ requests: [[RecommendationRequest]], rank: Int, _ tokens: TokenIDs, maximumLength: Int, tiles: RowOwnership, threads: Int) {
    all = Array(requests.joined())
    first = requests[..<rank].reduce(0) { $0 + $1.count }
    (self.rank, self.tokens, self.maximumLength) = (rank, tokens, maximumLength)
    ownership = tiles
    self.tiles = tiles.blocks(of: rank).map(tiles.rows)
    scratch = (0..<threads).map { _ in Scratch() }
  }

  func fill(_ batch: inout PackedBatch, with own: Range<Int>) {
    for (place, question) in own.enumerated() {
      all[first + question].history.withUnsafeBufferPointer {
        batch.appendQuery(history: $0, maximumLength: maximumLength, mask: tokens.mask, place: place)
      }
    }
  }

  func ask(_ own: Range<Int>, _ scorer: any ShardTileScorer, into words: UnsafeMutablePointer<Float>) {}

  func find(
    _ questions: Range<Int>, _ scorer: any ShardTileScorer, thread: Int, asked: UnsafePointer<Float>,
    found: (Int) -> UnsafeMutablePointer<Float>
  ) {
    let scratch = scratch[thread]
    let places = questions.indices.map { $0 - questions.lowerBound }
    for place in places {
      scratch.questions[place].begin(all[questions.lowerBound + place], tokens)
      if scratch.questions[place].wantsTiles { continue }
      scratch.questions[place].takeCandidates(where: { ownership.owner(ofRow: $0) == rank }) {
        scorer.score(instance: place, token: $0)
      }
    }
    if places.contains(where: { scratch.questions[$0].wantsTiles }) {
      for tokens in tiles {
        let tile = scorer.tile(tokens)
        for place in places where scratch.questions[place].wantsTiles { scratch.questions[place].take(tile.row(place)) }
      }
    }
    for place in places {
      var writer = WordWriter(found(questions.lowerBound + place))
      scratch.questions[place].writeFindings(to: &writer)
    }
  }
}
