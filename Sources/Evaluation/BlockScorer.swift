import InteractionData
import MaskedInstances
import SystemSupport

/// Scores one block of users and ranks their held-out items. The same on every rank; knows nothing of other ranks.
struct BlockScorer {
  private let scorer: any SequenceScorer
  private let split: LeaveOneOut
  private let heldOut: EvaluationSplit
  private let tokens: TokenIDs
  private let maximumLength: Int
  private let candidates: [(EvaluationProtocol, NegativeSamples?)]
  private var batch = PackedBatch()
  private var topK = TopK()
  private var seen: ItemMarks

  init(
    _ scorer: any SequenceScorer, sequences: Sequences, split: EvaluationSplit, tokens: TokenIDs, maximumLength: Int,
    candidates: [(EvaluationProtocol, NegativeSamples?)]
  ) {
    self.scorer = scorer
    self.split = LeaveOneOut(sequences, holdout: .testAndValidation)
    heldOut = split
    self.tokens = tokens
    self.maximumLength = maximumLength
    self.candidates = candidates
    seen = ItemMarks(count: tokens.itemCount + 1)
  }

  /// Users of a block that have a held-out item.
  static func users(of block: Int, _ split: LeaveOneOut) -> [Int] {
    let start = block * EvaluationBlock.size
    return (start..<min(start + EvaluationBlock.size, split.sequences.userCount)).filter {
      split.hasEvaluationItems(user: $0)
    }
  }

  mutating func score(block: Int, into message: inout ResultMessage) throws(Failure) {
    let users = Self.users(of: block, split)
    let size = tokens.vocabularySize
    let together = scorer.instancesAtOnce
    for start in stride(from: 0, to: users.count, by: together) {
      let part = users[start..<min(start + together, users.count)]
      batch.removeAll()
      for (place, user) in part.enumerated() {
        guard let (history, label) = split.heldOut(of: user, split: heldOut) else { continue }
        batch.appendQuery(
          history: history, maximumLength: maximumLength, mask: tokens.mask, label: label, place: place)
      }
      let scores = try scorer.checkedScores(batch)
      for (place, user) in part.enumerated() {
        let row = UnsafeBufferPointer(rebasing: scores[(place * size)..<((place + 1) * size)])
        if let result = try result(of: user, row) { message.append(result) }
      }
    }
  }

  private mutating func result(
    of user: Int, _ scores: UnsafeBufferPointer<Float>
  ) throws(Failure) -> UserResult? {
    guard let (history, label) = split.heldOut(of: user, split: heldOut) else { return nil }
    let row = ScoreRow(scores)
    guard row.isFinite else {
      throw Failure(
        .internalFault,
        "the model's scores for user \(user) (index, from 0) are not finite: the checkpoint is damaged or its training "
          + "diverged; use an earlier checkpoint")
    }
    let labelScore = row[Int(label)]
    seen.removeAll()
    // The label stays a candidate, also when the user has had it before.
    var (greater, equal) = row.count(above: labelScore, in: 1..<(tokens.itemCount + 1))
    equal -= 1
    var candidateCount = tokens.itemCount
    for item in history where item != label && seen.insert(Int(item)) {
      let score = row[Int(item)]
      if score > labelScore { greater -= 1 }
      if score == labelScore { equal -= 1 }
      candidateCount -= 1
    }
    let outcomes = candidates.map { evaluationProtocol, samples in
      if let samples { return Self.sampled(evaluationProtocol, row, labelScore, samples[user]) }
      return ProtocolOutcome(
        evaluationProtocol: evaluationProtocol, rank: Metrics.rank(greater: greater, equal: equal),
        candidateCount: candidateCount)
    }
    let maximum = row.maximum
    let isTop = labelScore == maximum && row.count(above: maximum, in: 0..<Int(label)).equal == 0
    let top = topK.select(
      min(10, tokens.itemCount), scores: scores, itemCount: tokens.itemCount, excluding: seen)
    return UserResult(
      user: user, label: label, outcomes: outcomes,
      maskedItemLoss: row.logSumExp(maximum: maximum) - Double(labelScore), isTopPrediction: isTop,
      topItems: top.map(\.item))
  }

  private static func sampled(
    _ evaluationProtocol: EvaluationProtocol, _ row: ScoreRow, _ labelScore: Float, _ negatives: ArraySlice<Int32>
  ) -> ProtocolOutcome {
    var (greater, equal) = (0, 0)
    for item in negatives {
      let score = row[Int(item)]
      if score > labelScore { greater += 1 }
      if score == labelScore { equal += 1 }
    }
    return ProtocolOutcome(
      evaluationProtocol: evaluationProtocol, rank: Metrics.rank(greater: greater, equal: equal),
      candidateCount: negatives.count + 1)
  }
}
