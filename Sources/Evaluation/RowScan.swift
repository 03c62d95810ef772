import InteractionData
import SystemSupport

/// What is found out about one user's held-out item while the tiles of the vocabulary pass.
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
  private var maximum = -Float.infinity
  private var firstOfMaximum = 0
  private var exponentialSum = 0.0  // of exp(score - maximum)

  /// A protocol's candidates: those that it drew, or nil for all that are not excluded.
  private struct Candidates {
    var evaluationProtocol: EvaluationProtocol
    var drawn: ArraySlice<Int32>?
    var greater = 0
    var equal = 0
  }

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
    (maximum, firstOfMaximum, exponentialSum) = (-.infinity, 0, 0)
  }

  mutating func rank(in evaluationProtocol: EvaluationProtocol, among drawn: ArraySlice<Int32>?) {
    candidates.append(Candidates(evaluationProtocol: evaluationProtocol, drawn: drawn))
  }

  /// The next tile.
  mutating func take(_ row: ScoreRow) {
    let summary = row.summary(comparedWith: labelScore)
    guard summary.isFinite && isFinite else {
      isFinite = false
      return
    }
    greater += summary.greater
    equal += summary.equal
    while nextExcluded < excluded.tokens.count, Int(excluded.tokens[nextExcluded]) < row.tokens.upperBound {
      let score = row[Int(excluded.tokens[nextExcluded])]
      if score > labelScore { greater -= 1 }
      if score == labelScore { equal -= 1 }
      nextExcluded += 1
    }
    for index in candidates.indices {
      guard let drawn = candidates[index].drawn else { continue }
      for item in drawn where row.tokens.contains(Int(item)) {
        let score = row[Int(item)]
        if score > labelScore { candidates[index].greater += 1 }
        if score == labelScore { candidates[index].equal += 1 }
      }
    }
    let sum = row.exponentialSum(maximum: summary.maximum)
    if summary.maximum > maximum {
      exponentialSum *= PortableMath.exp(Double(maximum) - Double(summary.maximum))
      exponentialSum += sum
      maximum = summary.maximum
      firstOfMaximum = row.first(from: row.tokens.lowerBound, above: maximum.nextDown)
    } else {
      exponentialSum += sum * PortableMath.exp(Double(summary.maximum) - Double(maximum))
    }
    topK.take(row, excluding: excluded)
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
      user: user, label: label, outcomes: outcomes,
      maskedItemLoss: Double(maximum) + PortableMath.log(exponentialSum) - Double(labelScore),
      isTopPrediction: firstOfMaximum == Int(label), topItems: topK.finish().map(\.item))
  }
}
