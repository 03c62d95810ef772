/// Items that alone may be recommended: ascending, each once.
public struct CandidateItems: Sendable, Equatable {
  /// Ids, ascending, each once.
  public let items: [Int32]

  /// In any order, and repeated or not.
  public init(_ items: some Sequence<Int32>) {
    var sorted = items.sorted()
    var count = 0
    for place in sorted.indices where count == 0 || sorted[place] != sorted[count - 1] {
      sorted[count] = sorted[place]
      count += 1
    }
    sorted.removeLast(sorted.count - count)
    self.items = sorted
  }

  /// Takes over what is ascending already, each once.
  init(ascending items: [Int32]) { self.items = items }
}

/// What is asked for one user, in the model's item ids.
public struct RecommendationRequest: Sendable, Equatable {
  /// The oldest first. Without any, the most popular items are the answer.
  public var history: [Int32]
  /// Most items of the list, at least 1.
  public var topK: Int
  /// Whether items of the history may be recommended.
  public var keepSeen: Bool
  /// nil: the whole catalogue.
  public var candidates: CandidateItems?
  /// May be recommended even where the history holds it: an evaluation's held-out item.
  public var heldOut: Int32?

  /// What is asked for one user.
  public init(
    history: [Int32], topK: Int, keepSeen: Bool = false, candidates: CandidateItems? = nil, heldOut: Int32? = nil
  ) {
    (self.history, self.topK, self.keepSeen, self.candidates, self.heldOut) = (history, topK, keepSeen, candidates, heldOut)
  }
}
