import InteractionData
import SystemSupport

/// What one history of a batch wants of the scores that pass: of all tiles ascending, or of those of one rank.
struct ListQuestion {
  private var excluded = ExcludedTokens()
  private var topK = TopK()
  private var candidates: [Int32]?
  /// Of the candidates, the first that has not passed.
  private var next = 0
  private(set) var isFinite = true
  /// Whether it wants tiles: not where candidates are so few that each is scored by itself.
  private(set) var wantsTiles = true

  /// A candidate by itself costs about as much as so many in a tile.
  private static let costOfOne = 64

  mutating func begin(_ request: RecommendationRequest, _ tokens: TokenIDs) {
    request.history.withUnsafeBufferPointer { history in
      excluded.set(
        history: request.keepSeen ? UnsafeBufferPointer(rebasing: history[..<0]) : history, keeping: request.heldOut, tokens)
    }
    topK.begin(min(request.topK, tokens.itemCount))
    candidates = request.candidates?.items
    next = 0
    isFinite = true
    wantsTiles = candidates.map { $0.count * Self.costOfOne >= tokens.vocabularySize } ?? true
  }

  /// The next tile.
  mutating func take(_ row: ScoreRow) {
    guard row.summary(comparedWith: 0).isFinite else {
      isFinite = false
      return
    }
    guard let candidates else { return topK.take(row, excluding: excluded) }
    while next < candidates.count, Int(candidates[next]) < row.tokens.upperBound {
      let item = candidates[next]
      if row.tokens.contains(Int(item)), !excluded.contains(Int(item)) { topK.take(row[Int(item)], item) }
      next += 1
    }
  }

  /// Scores the candidates that are in question here one by one, by the very bits that they have in their tiles.
  mutating func takeCandidates(where isAsked: (Int) -> Bool = { _ in true }, score: (Int) -> Float) {
    for item in candidates ?? [] where isAsked(Int(item)) && !excluded.contains(Int(item)) {
      let score = score(Int(item))
      if !score.isFinite { isFinite = false }
      topK.take(score, item)
    }
  }

  /// After the last tile. Fails where scores were not finite.
  mutating func finish() -> Result<[ScoredItem], ProgramFailure> {
    guard isFinite else {
      return .failure(
        ProgramFailure(
          .internalFault,
          "the model's scores are not finite: the checkpoint is damaged or its training diverged; "
            + "use an earlier checkpoint"))
    }
    return .success(topK.finish())
  }
}

/// What one rank has found, on its way to the rank that asked.
extension ListQuestion {
  /// Words of 4 bytes.
  static func findingWords(longestList: Int) -> Int { 1 + TopK.words(limit: longestList) }

  func writeFindings(to words: inout WordWriter) {
    words.write(Int32(isFinite ? 1 : 0))
    topK.write(to: &words)
  }

  /// Takes what a rank has found for the same history, in any order of ranks.
  mutating func takeFindings(_ words: inout WordReader) {
    if words.read(Int32.self) == 0 { isFinite = false }
    topK.take(&words)
  }
}
