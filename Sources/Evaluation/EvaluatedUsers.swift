import InteractionData
import Masking

/// Some of a data set's users, the same ones wherever it is asked: a function of the seed, the data set and the number.
public struct UserSample: Hashable, Sendable {
  /// How many users.
  public var count: Int
  /// Key of the draw.
  public var seed: UInt64

  /// So many users, drawn by this key.
  public init(count: Int, seed: UInt64) {
    precondition(count > 0)
    self.count = count
    self.seed = seed
  }
}

/// Whom an evaluation asks about, in blocks of 64 that are scored together.
struct EvaluatedUsers: Sendable {
  private let split: LeaveOneOut
  private let heldOut: EvaluationSplit
  /// Ascending; nil for all users that have a held-out item.
  private let sample: [Int32]?
  /// Users of the data set that have a held-out item.
  let totalCount: Int

  init(_ sequences: Sequences, split: EvaluationSplit, testsLater: Bool, sample wanted: UserSample?) {
    precondition(!(testsLater && split == .test), "targets behind the sequences are for TargetEvaluation")
    let all = LeaveOneOut(sequences, holdout: .testAndValidation, testsLater: testsLater)
    self.split = all
    heldOut = split
    totalCount = (0..<sequences.userCount).count { all.hasEvaluationItems(user: $0) }
    guard let wanted, wanted.count < totalCount else {
      sample = nil
      return
    }
    let order = KeyedPermutation(count: totalCount, seed: wanted.seed, .evaluatedUsers)
    // The places of the chosen ones among those who have a held-out item, then the users at these places.
    let places = (0..<wanted.count).map { order[$0] }.sorted()
    var chosen: [Int32] = []
    chosen.reserveCapacity(places.count)
    var place = 0
    for user in 0..<sequences.userCount where all.hasEvaluationItems(user: user) {
      if chosen.count < places.count, places[chosen.count] == place { chosen.append(Int32(user)) }
      place += 1
    }
    sample = chosen
  }

  var count: Int { sample?.count ?? totalCount }

  var blockCount: Int { ((sample?.count ?? split.sequences.userCount) + EvaluationBlock.size - 1) / EvaluationBlock.size }

  /// Those of a block, ascending. Without a sample a block is 64 consecutive indices, of which some users may have no held-out item.
  func users(of block: Int) -> [Int] {
    let start = block * EvaluationBlock.size
    if let sample { return sample[start..<min(start + EvaluationBlock.size, sample.count)].map(Int.init) }
    return (start..<min(start + EvaluationBlock.size, split.sequences.userCount)).filter {
      split.hasEvaluationItems(user: $0)
    }
  }

  /// What a user of a block is asked for.
  func heldOut(of user: Int) -> (history: UnsafeBufferPointer<Int32>, label: Int32) {
    guard let asked = split.heldOut(of: user, split: heldOut) else {
      preconditionFailure("a user without a held-out item is in no block")
    }
    return asked
  }
}
