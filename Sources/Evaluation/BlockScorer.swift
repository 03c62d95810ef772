import InteractionData
import Masking
import SystemSupport

/// Scores blocks of users, one at a time, and ranks their held-out items. Each thread has one; it knows nothing of others.
final class BlockScorer {
  private let scorer: any TileScorer
  private let users: EvaluatedUsers
  private let tokens: TokenIDs
  private let maximumLength: Int
  private let keepSeen: Bool
  private let candidates: [(EvaluationProtocol, DrawnNegatives?)]
  private var batch = PackedBatch()
  private var scans: [RowScan]

  init(
    _ scorer: any TileScorer, users: EvaluatedUsers, tokens: TokenIDs, maximumLength: Int, keepSeen: Bool,
    candidates: [(EvaluationProtocol, DrawnNegatives?)]
  ) {
    self.scorer = scorer
    self.users = users
    self.tokens = tokens
    self.maximumLength = maximumLength
    self.keepSeen = keepSeen
    self.candidates = candidates
    scans = [RowScan](repeating: RowScan(), count: min(scorer.instancesAtOnce, EvaluationBlock.size))
  }

  /// Results in user order.
  func score(block: Int) throws(ProgramFailure) -> [UserResult] {
    let all = users.users(of: block)
    var results: [UserResult] = []
    results.reserveCapacity(all.count)
    for start in stride(from: 0, to: all.count, by: scans.count) {
      let part = start..<min(start + scans.count, all.count)
      try score(all[part], block: block)
      for place in 0..<part.count {
        if !scans[place].isFinite { throw scans[place].failure }
        results.append(scans[place].finish(tokens))
      }
    }
    return results
  }

  /// Lets all tiles pass by the scans of some of a block's users.
  private func score(_ part: ArraySlice<Int>, block: Int) throws(ProgramFailure) {
    batch.removeAll()
    for (place, user) in part.enumerated() {
      let (history, label) = users.heldOut(of: user)
      batch.appendQuery(
        history: history, maximumLength: maximumLength, mask: tokens.mask, label: label, place: place)
    }
    try scorer.begin(batch)
    for (place, user) in part.enumerated() {
      let (history, label) = users.heldOut(of: user)
      scans[place].begin(
        user: user, history: keepSeen ? UnsafeBufferPointer(rebasing: history[..<0]) : history, label: label,
        labelScore: scorer.score(instance: place, token: Int(label)),
        listLength: RowScan.listLength(tokens), tokens)
      for (evaluationProtocol, drawn) in candidates {
        scans[place].rank(in: evaluationProtocol, among: drawn?[block: block, place: part.startIndex + place])
      }
    }
    ScoreTile.forEach(scorer, vocabularySize: tokens.vocabularySize) { tile in
      for place in 0..<part.count { scans[place].take(tile.row(place)) }
    }
  }
}
