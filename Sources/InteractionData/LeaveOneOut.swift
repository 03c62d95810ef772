/// Which held-out item an evaluation asks for.
public enum EvaluationSplit: String, Sendable, CaseIterable {
  case validation, test
}

/// The leave-one-out split of Sun et al. (section 4.1): a user's last item is the test item, the one before it the validation
/// item. Users with fewer than 3 interactions only train.
public struct LeaveOneOut: Sendable {
  public static let minimumLength = 3

  public let sequences: Sequences
  /// True keeps the validation item out of training; false trains on it, as the paper's code does.
  public let holdsOutValidation: Bool

  public init(_ sequences: Sequences, holdsOutValidation: Bool) {
    self.sequences = sequences
    self.holdsOutValidation = holdsOutValidation
  }

  public func hasEvaluationItems(user: Int) -> Bool { sequences.length(of: user) >= Self.minimumLength }

  /// The items of a user that training may see.
  public func trainingItems(of user: Int) -> UnsafeBufferPointer<Int32> {
    let all = sequences[user]
    guard all.count >= Self.minimumLength else { return all }
    return UnsafeBufferPointer(rebasing: all[..<(all.count - (holdsOutValidation ? 2 : 1))])
  }

  /// What a model is given and asked for: everything before the held-out item, and that item. Nil for users that only train.
  public func heldOut(of user: Int, split: EvaluationSplit) -> (history: UnsafeBufferPointer<Int32>, label: Int32)? {
    let all = sequences[user]
    guard all.count >= Self.minimumLength else { return nil }
    let place = all.count - (split == .test ? 1 : 2)
    return (UnsafeBufferPointer(rebasing: all[..<place]), all[place])
  }
}
