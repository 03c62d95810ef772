import InteractionData
import Masking
import SystemSupport

/// One thread's part of a recommender.
final class ListScorer {
  private let scorer: any TileScorer
  private let tokens: TokenIDs
  private let maximumLength: Int
  private var batch = PackedBatch()
  private var questions: [Question]

  /// What one history of a batch wants of the scores that pass.
  fileprivate struct Question {
    var excluded = ExcludedTokens()
    var topK = TopK()
    var candidates: [Int32]?
    /// Of the candidates, the first that has not passed.
    var next = 0
    var isFinite = true
  }

  /// A candidate by itself costs about as much as so many in a tile.
  private static let costOfOne = 64

  init(_ scorer: any TileScorer, tokens: TokenIDs, maximumLength: Int) {
    self.scorer = scorer
    self.tokens = tokens
    self.maximumLength = maximumLength
    questions = [Question](repeating: Question(), count: scorer.instancesAtOnce)
  }

  var instancesAtOnce: Int { scorer.instancesAtOnce }

  /// The best items for some of the requests, none of which has an empty history; one that fails leaves the others alone.
  func lists(_ indices: [Int], of requests: [RecommendationRequest]) -> [Result<[ScoredItem], ProgramFailure>] {
    batch.removeAll()
    var needsTiles = false
    for (place, index) in indices.enumerated() {
      let request = requests[index]
      request.history.withUnsafeBufferPointer { history in
        batch.appendQuery(history: history, maximumLength: maximumLength, mask: tokens.mask, place: place)
        questions[place].excluded.set(
          history: request.keepSeen ? UnsafeBufferPointer(rebasing: history[..<0]) : history, keeping: request.heldOut, tokens)
      }
      questions[place].topK.begin(min(request.topK, tokens.itemCount))
      questions[place].candidates = request.candidates?.items
      questions[place].next = 0
      questions[place].isFinite = true
      if !areFew(request.candidates?.items) { needsTiles = true }
    }
    do throws(ProgramFailure) { try scorer.begin(batch) } catch { return indices.map { _ in .failure(error) } }
    for place in indices.indices {
      if let candidates = questions[place].candidates, areFew(candidates) { scoreOneByOne(candidates, place) }
    }
    if needsTiles {
      ScoreTile.forEach(scorer, vocabularySize: tokens.vocabularySize) { tile in
        for place in indices.indices where !areFew(questions[place].candidates) { questions[place].take(tile.row(place)) }
      }
    }
    return indices.indices.map { place in
      guard questions[place].isFinite else {
        return .failure(
          ProgramFailure(
            .internalFault,
            "the model's scores are not finite: the checkpoint is damaged or its training diverged; "
              + "use an earlier checkpoint"))
      }
      return .success(questions[place].topK.finish())
    }
  }

  private func areFew(_ candidates: [Int32]?) -> Bool {
    candidates.map { $0.count * Self.costOfOne < tokens.vocabularySize } ?? false
  }

  private func scoreOneByOne(_ candidates: [Int32], _ place: Int) {
    for item in candidates where !questions[place].excluded.contains(Int(item)) {
      // The very bits that it has in its tile.
      let score = scorer.score(instance: place, token: Int(item))
      if !score.isFinite { questions[place].isFinite = false }
      questions[place].topK.take(score, item)
    }
  }
}

extension ListScorer.Question {
  /// The next tile.
  fileprivate mutating func take(_ row: ScoreRow) {
    guard row.summary(comparedWith: 0).isFinite else {
      isFinite = false
      return
    }
    guard let candidates else { return topK.take(row, excluding: excluded) }
    while next < candidates.count, Int(candidates[next]) < row.tokens.upperBound {
      let item = candidates[next]
      if !excluded.contains(Int(item)) { topK.take(row[Int(item)], item) }
      next += 1
    }
  }
}
