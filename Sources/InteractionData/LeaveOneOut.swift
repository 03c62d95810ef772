/// Which held-out item an evaluation asks for.
public enum EvaluationSplit: String, Sendable, CaseIterable {
  case validation, test
}

/// What training keeps away from each user's sequence.
public enum Holdout: String, Sendable, CaseIterable {
  /// The last item, as the paper's code does: for the final model, whose settings were chosen before.
  case test
  /// The last two items, so that a model can be chosen by the item before the last one.
  case testAndValidation = "test+validation"
  /// Nothing: for production, with settings chosen before. No item is left to test such a model on.
  case none

  /// Items at the end of a sequence that training does not see.
  public var itemCount: Int {
    switch self {
    case .test: 1
    case .testAndValidation: 2
    case .none: 0
    }
  }
}

/// The leave-one-out split of Sun et al. (section 4.1): a user's last item is the test item, the one before it the validation
/// item. Users with fewer than 3 interactions only train.
package struct LeaveOneOut: Sendable {
  package static let minimumLength = 3

  package let sequences: Sequences
  package let holdout: Holdout
  /// A split by time: what is tested lies behind the sequences, so that the last item is the validation item.
  package let testsLater: Bool

  package init(_ sequences: Sequences, holdout: Holdout, testsLater: Bool = false) {
    self.sequences = sequences
    self.holdout = holdout
    self.testsLater = testsLater
  }

  package func hasEvaluationItems(user: Int) -> Bool { sequences.length(of: user) >= Self.minimumLength }

  /// The items of a user that training may see.
  package func trainingItems(of user: Int) -> UnsafeBufferPointer<Int32> {
    let all = sequences[user]
    guard all.count >= Self.minimumLength else { return all }
    return UnsafeBufferPointer(rebasing: all[..<(all.count - max(0, holdout.itemCount - (testsLater ? 1 : 0)))])
  }

  /// Occurrences of item i in what training may see, at i - 1.
  package func itemCounts(_ tokens: TokenIDs) -> [Int64] {
    var counts = [Int64](repeating: 0, count: tokens.itemCount)
    for user in 0..<sequences.userCount { for item in trainingItems(of: user) { counts[Int(item) - 1] += 1 } }
    return counts
  }

  /// What a model is given and asked for: everything before the held-out item, and that item. Nil for users that only train, and for
  /// a test that lies behind the sequences.
  package func heldOut(of user: Int, split: EvaluationSplit) -> (history: UnsafeBufferPointer<Int32>, label: Int32)? {
    let all = sequences[user]
    guard all.count >= Self.minimumLength, !(testsLater && split == .test) else { return nil }
    let place = all.count - (split == .test || testsLater ? 1 : 2)
    return (UnsafeBufferPointer(rebasing: all[..<place]), all[place])
  }
}
