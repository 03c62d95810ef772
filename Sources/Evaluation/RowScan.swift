import InteractionData
import SystemSupport

/// What is found out about one user's held-out item while tiles of the vocabulary pass, ascending: all of them, or those of one rank.
struct RowScan {
  private var user = 0
  private var label: Int32 = 0
  private var labelScore: Float = 0
  private var candidates: [Candidates] = []
  private var excluded = ExcludedTokens()
  private var nextExcluded = 0
  private var topK = TopK()
  private(set) var isFinite = true
  // All tokens so far, but for the excluded ones.
  private var greater = 0
  private var equal = 0
  // All tokens so far.
  private var highest = -Float.infinity
  private var firstOfHighest = 0
  private var softmax = SoftmaxSum()

  /// A protocol's candidates: those that it drew, or nil for all that are not excluded.
  private struct Candidates {
    var evaluationProtocol: EvaluationProtocol
    var drawn: ArraySlice<Int32>?
    var greater = 0
    var equal = 0
  }

  /// Items of a user's list, where the catalogue has as many.
  static let longestList = 10

  static func listLength(_ tokens: TokenIDs) -> Int { min(longestList, tokens.itemCount) }

  mutating func begin(
    user: Int, history: UnsafeBufferPointer<Int32>, label: Int32, labelScore: Float, listLength: Int, _ tokens: TokenIDs
  ) {
    self.user = user
    self.label = label
    self.labelScore = labelScore
    candidates.removeAll(keepingCapacity: true)
    // The label stays a candidate, also when it is in the user's history.
    excluded.set(history: history, keeping: label, tokens)
    nextExcluded = 0
    topK.begin(listLength)
    isFinite = true
    (greater, equal) = (0, 0)
    (highest, firstOfHighest) = (-.infinity, 0)
    softmax = SoftmaxSum()
  }

  mutating func rank(in evaluationProtocol: EvaluationProtocol, among drawn: ArraySlice<Int32>?) {
    candidates.append(Candidates(evaluationProtocol: evaluationProtocol, drawn: drawn))
  }

  /// The next tile of all of them.
  mutating func take(_ row: ScoreRow) {
    if let sum = look(at: row) { softmax.take(sum) }
  }

  /// A tile behind those that it has looked at, and its part of the softmax, which somebody adds who has those of all tiles. nil where
  /// scores are not finite.
  mutating func look(at row: ScoreRow) -> TileSum? {
    let summary = row.summary(comparedWith: labelScore)
    guard summary.isFinite && isFinite else {
      isFinite = false
      return nil
    }
    greater += summary.greater
    equal += summary.equal
    while nextExcluded < excluded.tokens.count, Int(excluded.tokens[nextExcluded]) < row.tokens.upperBound {
      let token = Int(excluded.tokens[nextExcluded])
      nextExcluded += 1
      if token < row.tokens.lowerBound { continue }
      if row[token] > labelScore { greater -= 1 }
      if row[token] == labelScore { equal -= 1 }
    }
    for index in candidates.indices {
      guard let drawn = candidates[index].drawn else { continue }
      for item in drawn where row.tokens.contains(Int(item)) {
        let score = row[Int(item)]
        if score > labelScore { candidates[index].greater += 1 }
        if score == labelScore { candidates[index].equal += 1 }
      }
    }
    if summary.maximum > highest {
      highest = summary.maximum
      firstOfHighest = row.first(from: row.tokens.lowerBound, above: highest.nextDown)
    }
    topK.take(row, excluding: excluded)
    return TileSum(maximum: summary.maximum, exponentialSum: row.exponentialSum(maximum: summary.maximum))
  }

  /// After the last tile.
  mutating func finish(_ tokens: TokenIDs) -> UserResult {
    let outcomes = candidates.map { candidates in
      // The label is among the equal ones of all tokens, and not among the drawn ones.
      if let drawn = candidates.drawn {
        return ProtocolOutcome(
          evaluationProtocol: candidates.evaluationProtocol,
          rank: Metrics.rank(greater: candidates.greater, equal: candidates.equal), candidateCount: drawn.count + 1)
      }
      return ProtocolOutcome(
        evaluationProtocol: candidates.evaluationProtocol, rank: Metrics.rank(greater: greater, equal: equal - 1),
        candidateCount: tokens.vocabularySize - excluded.tokens.count)
    }
    return UserResult(
      user: user, label: label, outcomes: outcomes, maskedItemLoss: softmax.logarithm - Double(labelScore),
      isTopPrediction: firstOfHighest == Int(label), topItems: topK.finish().map(\.item))
  }

  /// What is thrown where scores are not finite.
  var failure: ProgramFailure {
    ProgramFailure(
      .internalFault,
      "the model's scores for user \(user) (index, from 0) are not finite: the checkpoint is damaged or "
        + "its training diverged; use an earlier checkpoint")
  }
}

/// What one rank has found, on its way to the user's rank.
extension RowScan {
  /// Words of it, the same for all users of an evaluation.
  static func findingWords(protocols: Int, listLength: Int) -> Int { 5 + 2 * protocols + TopK.words(limit: listLength) }

  /// After the last tile of this rank.
  mutating func writeFindings(to words: inout WordWriter) {
    words.write(Int32(isFinite ? 1 : 0))
    words.write(Int32(greater))
    words.write(Int32(equal))
    words.write(highest)
    words.write(Int32(firstOfHighest))
    for candidates in candidates {
      words.write(Int32(candidates.greater))
      words.write(Int32(candidates.equal))
    }
    topK.write(to: &words)
  }

  /// Takes what a rank has found of the same user's item, in any order of ranks.
  mutating func takeFindings(_ words: inout WordReader) {
    if words.read(Int32.self) == 0 { isFinite = false }
    greater += Int(words.read(Int32.self))
    equal += Int(words.read(Int32.self))
    let (score, first) = (words.read(Float.self), Int(words.read(Int32.self)))
    if score > highest || (score == highest && first < firstOfHighest) { (highest, firstOfHighest) = (score, first) }
    for index in candidates.indices {
      candidates[index].greater += Int(words.read(Int32.self))
      candidates[index].equal += Int(words.read(Int32.self))
    }
    topK.take(&words)
  }

  /// The next tile's part of the softmax, whichever rank has looked at it.
  mutating func take(_ sum: TileSum) { softmax.take(sum) }
}
