import InteractionData
import Masking
import SystemSupport

/// One thread's part of a recommender.
final class ListScorer {
  private let scorer: any TileScorer
  private let tokens: TokenIDs
  private let maximumLength: Int
  private var batch = PackedBatch()
  private var questions: [ListQuestion]

  init(_ scorer: any TileScorer, tokens: TokenIDs, maximumLength: Int) {
    self.scorer = scorer
    self.tokens = tokens
    self.maximumLength = maximumLength
    questions = [ListQuestion](repeating: ListQuestion(), count: scorer.instancesAtOnce)
  }

  var instancesAtOnce: Int { scorer.instancesAtOnce }

  /// A part of the tiles that is worth the encoder's work again.
  static let fewestTiles = 16

  /// The best items for some of the requests, none of which has an empty history, among those of a part of the tiles; a request that fails
  /// leaves the others alone.
  func lists(
    _ indices: [Int], of requests: [RecommendationRequest], part: Int, of parts: Int
  ) -> [Result<[ScoredItem], ProgramFailure>] {
    batch.removeAll()
    for (place, index) in indices.enumerated() {
      requests[index].history.withUnsafeBufferPointer {
        batch.appendQuery(history: $0, maximumLength: maximumLength, mask: tokens.mask, place: place)
      }
      questions[place].begin(requests[index], tokens)
    }
    do throws(ProgramFailure) { try scorer.begin(batch) } catch { return indices.map { _ in .failure(error) } }
    for place in indices.indices where !questions[place].wantsTiles && part == 0 {
      questions[place].takeCandidates { scorer.score(instance: place, token: $0) }
    }
    if indices.indices.contains(where: { questions[$0].wantsTiles }) {
      ScoreTile.forEach(scorer, vocabularySize: tokens.vocabularySize, part: part, of: parts) { tile in
        for place in indices.indices where questions[place].wantsTiles { questions[place].take(tile.row(place)) }
      }
    }
    return indices.indices.map { questions[$0].finish() }
  }
}
