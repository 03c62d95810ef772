import Communication
import Evaluation
import InteractionData
import SystemSupport

/// The lists that a model recommends, measured against several targets per user.
package enum TargetLists {
  /// Who is asked about, on rank 0.
  package struct Asked: Sendable {
    let questions: TargetQuestions
    let popularity: ItemPopularity
    /// What users did later; a question per user, in this order.
    package let targets: Dataset

    /// - Parameters:
    ///   - targets: what users did later, a data set of its own.
    ///   - histories: in the model's item ids.
    ///   - itemIDs: the model's.
    package init(targets: Dataset, histories: Dataset, itemIDs: ExternalIDs) throws(ProgramFailure) {
      questions = try TargetQuestions(targets: targets, histories: histories, items: ItemNumbers(itemIDs))
      popularity = ItemPopularity(histories.sequences, itemCount: histories.itemCount)
      self.targets = targets
    }

    /// Tokens of the longest question, `[MASK]` included.
    package var longestQuery: Int { questions.questions.reduce(1) { max($0, $1.history.count + 1) } }
  }

  /// The report is on rank 0. Rank 0 asks and sums, all ranks score, each user once, so that digits do not depend on how
  /// many there are.
  ///
  /// - Parameters:
  ///   - asked: rank 0's; nil elsewhere.
  ///   - itemCounts: the model's, for those who have no history that it knows.
  ///   - notes: come first.
  ///   - seeing: gets, on rank 0, each list with the number of its user among the targets'.
  ///   - shouldStop: asked on rank 0 for each list; ends it with the exit code `stopped`.
  package static func evaluate(
    _ asked: Asked?, _ scorer: RankScorer, itemCounts: [Int64], maximumLength: Int,
    cutoffs: [Int] = TargetMetrics.defaultCutoffs, keepSeen: Bool = false, step: Int, notes: [String] = [],
    communicator: any Communicator, shouldStop: () -> Bool = { false },
    seeing: (_ user: Int, RecommendationList) throws(ProgramFailure) -> Void = { (_, _) throws(ProgramFailure) in }
  ) throws(CollectiveFailure) -> TargetReport? {
    var evaluation = asked.map {
      TargetEvaluation($0.questions, popularity: $0.popularity, cutoffs: cutoffs, keepSeen: keepSeen)
    }
    let questions = asked?.questions.questions ?? []
    let source = try communicator.onEveryRank { () throws(ProgramFailure) in
      try scorer.makeListSource(itemCounts: itemCounts, maximumLength: maximumLength)
    }
    var (fallbacks, isStopped) = (0, false)
    let longest = cutoffs.last ?? 1
    try RecommendationRounds(source: source, communicator: communicator).run(
      count: questions.count, longestList: longest,
      request: { RecommendationRequest(history: questions[$0].history, topK: longest, keepSeen: keepSeen) }
    ) { (user, list) throws(ProgramFailure) in
      if list.isFallback { fallbacks += 1 }
      evaluation?.add(list.items.map(\.item))
      try seeing(user, list)
      isStopped = shouldStop()
      return !isStopped
    }
    try communicator.onRankZero { () throws(ProgramFailure) in
      if isStopped { throw ProgramFailure(.stopped, "stopped in an evaluation") }
    }
    guard let asked, let evaluation else { return nil }
    let hidden = keepSeen ? 0 : asked.questions.targetsInHistory
    var notes = notes
    if fallbacks > 0 {
      notes.append("\(fallbacks) of \(questions.count) users have no history that the model knows: they get the most popular items")
    }
    if hidden > 0 {
      notes.append("\(hidden) targets are in their user's history, which lists do not hold (unless --keep-seen): they count as missed")
    }
    if keepSeen { notes.append("lists are of all items, those of the user's history included (--keep-seen)") }
    return evaluation.report(
      subject: "targets \(asked.targets.name), step \(step)", step: step,
      counts: [("users_with_fallback", fallbacks), ("hidden_targets", hidden)], notes: notes)
  }
}
