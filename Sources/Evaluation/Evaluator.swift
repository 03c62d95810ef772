import Communication
import InteractionData
import Masking
import SystemSupport

/// Ranks every user's held-out item, with all ranks and all their threads at work.
///
/// Users come in fixed blocks of 64 by index; rank r scores the blocks r, r + size, ...; rank 0 gathers the results
/// in rounds, hands them to the hooks in user order, and sums. So neither a metric's bits nor the hooks' calls depend
/// on the number of ranks and threads, and memory does not grow with the number of users, but for the negatives: they
/// are drawn once per split, and each rank keeps those of its own blocks.
public final class Evaluator {
  private let dataset: Dataset
  private let tokens: TokenIDs
  private let maximumLength: Int
  private let keepSeen: Bool
  private let testsLater: Bool
  private let communicator: any Communicator
  private let draws: NegativeDraws
  private var baselines: [BaselineKey: Baseline] = [:]

  private struct BaselineKey: Hashable {
    var split: EvaluationSplit
    var sample: UserSample?
  }

  /// Of the most popular items: the full ranking, and what lists of them look like.
  private struct Baseline {
    var full = MetricSums()
    var lists: ListStatistics
  }

  /// Every rank has the data set. `maximumLength`: tokens of a query, `[MASK]` included. With `keepSeen` the full protocol ranks among
  /// all items, those of the user's history included, as `Recommender` does with its own `keepSeen`; what was drawn stays as it is.
  /// `testsLater`: the data are those before a split by time, whose last item is the validation item (`LeaveOneOut`).
  public init(
    dataset: Dataset, maximumLength: Int, keepSeen: Bool = false, testsLater: Bool = false, communicator: any Communicator
  ) {
    precondition(maximumLength >= 1)
    self.dataset = dataset
    tokens = TokenIDs(itemCount: dataset.itemCount)
    self.maximumLength = maximumLength
    self.keepSeen = keepSeen
    self.testsLater = testsLater
    self.communicator = communicator
    draws = NegativeDraws(dataset: dataset, communicator: communicator)
  }

  /// Every rank calls it with the same arguments, its own replica of the scorer, and gets the report on
  /// rank 0, nil elsewhere. Hooks of other ranks than 0 are not called.
  ///
  /// With a `sample`, only these of the users that have a held-out item are asked; the negatives are those of an
  /// evaluation of a data set that holds nobody else's.
  ///
  /// Throws, on every rank the same, `badData` when no user has a held-out item, `usage` when the model is of another
  /// catalogue, `internalFault` when scores are not finite, `stopped` when `shouldStop`, which is asked before each block of users,
  /// says so on any rank, and whatever the scorer or a hook throws.
  public func evaluate(
    _ scorer: any SequenceScorer, split evaluated: EvaluationSplit,
    protocols: [EvaluationProtocol] = EvaluationProtocol.allCases, sample: UserSample? = nil, step: Int,
    hooks: [any EvaluationHook] = [], shouldStop: @escaping @Sendable () -> Bool = { false }
  ) throws(CollectiveFailure) -> EvaluationReport? {
    try evaluate(
      .replicas(scorer), split: evaluated, protocols: protocols, sample: sample, step: step, hooks: hooks, shouldStop: shouldStop)
  }

  /// The same with a model of either kind: the digits do not depend on it.
  package func evaluate(
    _ scorer: RankScorer, split evaluated: EvaluationSplit, protocols: [EvaluationProtocol] = EvaluationProtocol.allCases,
    sample: UserSample? = nil, step: Int, hooks: [any EvaluationHook] = [], shouldStop: @escaping @Sendable () -> Bool = { false }
  ) throws(CollectiveFailure) -> EvaluationReport? {
    try alike { () throws(ProgramFailure) in try checkVocabulary(scorer.vocabularySize, tokens) }
    var distinct: [EvaluationProtocol] = []
    for evaluationProtocol in protocols where !distinct.contains(evaluationProtocol) {
      distinct.append(evaluationProtocol)
    }
    let users = EvaluatedUsers(dataset.sequences, split: evaluated, testsLater: testsLater, sample: sample)
    guard users.count > 0 else {
      throw .onEveryRank(
        .badData,
        "no user of \(dataset.name) has \(LeaveOneOut.minimumLength) interactions, so there is no item to hold out; "
          + "give a data set with longer histories")
    }
    let context = EvaluationContext(
      dataset: dataset, split: evaluated, step: step, protocols: distinct, userCount: users.count,
      totalUserCount: users.totalCount)
    var candidates: [(EvaluationProtocol, NegativeDraws.Drawn?)] = []
    try Activity.during("drawing the candidates of the \(evaluated.rawValue)") { () throws(CollectiveFailure) in
      for evaluationProtocol in distinct {
        candidates.append((evaluationProtocol, try draws.drawn(evaluationProtocol, evaluated, sample, for: users)))
      }
    }

    let isRoot = communicator.rank == 0
    let ranking = RankingHook()
    let ownHooks: [any EvaluationHook] = isRoot ? [ranking, MaskedItemHook()] : []
    let called = isRoot ? ownHooks + hooks : []
    try communicator.onRankZero { () throws(ProgramFailure) in for hook in called { try hook.begin(context) } }
    let scoring = try communicator.onEveryRank { () throws(ProgramFailure) in
      try makeScoring(scorer, users, candidates.map { ($0, $1?.negatives) }, shouldStop)
    }
    // All blocks are as good as done where those that this rank goes through are.
    let blocks = scoring.blocksSeen(of: users.blockCount, ranks: communicator.size)
    try Activity.during("\(evaluated.rawValue) of step \(step), \(users.count) users", of: blocks) { () throws(CollectiveFailure) in
      try score(scoring, users, called)
    }
    try communicator.onRankZero { () throws(ProgramFailure) in for hook in called { try hook.end(context) } }
    guard isRoot else { return nil }

    return EvaluationReport(
      split: evaluated, step: step, users: users.count, totalUsers: users.totalCount, protocols: distinct,
      metrics: ownHooks.flatMap(\.metrics) + baseline(evaluated, sample, users, candidates) + hooks.flatMap(\.metrics),
      lines: distinct.map(ranking.line), notes: notes(candidates, users.count) + repeats(users))
  }

  private func makeScoring(
    _ scorer: RankScorer, _ users: EvaluatedUsers, _ candidates: [(EvaluationProtocol, DrawnNegatives?)],
    _ shouldStop: @escaping @Sendable () -> Bool
  ) throws(ProgramFailure) -> any UserScoring {
    switch scorer {
    case .replicas(let scorer):
      let scorers = scorer.workers.map {
        BlockScorer($0, users: users, tokens: tokens, maximumLength: maximumLength, keepSeen: keepSeen, candidates: candidates)
      }
      return try BlockTeam(scorers, shouldStop)
    case .sharded(let scorer):
      return try ShardedBlocks(
        scorer, users: users, tokens: tokens, maximumLength: maximumLength, keepSeen: keepSeen, candidates: candidates,
        communicator: communicator, shouldStop)
    }
  }

  /// Rounds of scoring, gathering on rank 0, and agreeing on whether to go on.
  private func score(
    _ scoring: any UserScoring, _ users: EvaluatedUsers, _ hooks: [any EvaluationHook]
  ) throws(CollectiveFailure) {
    let size = communicator.size
    let perRound = scoring.blocksPerRound * size
    for start in stride(from: 0, to: users.blockCount, by: perRound) {
      let end = min(start + perRound, users.blockCount)
      let own = Array(stride(from: start + communicator.rank, to: end, by: size))
      let gathered = try communicator.gather(RoundResults(blocks: own, scoring.score(own, of: start..<end)))
      // Whatever goes wrong on one rank stops all of them here, instead of leaving the others to wait for it.
      try communicator.onRankZero { () throws(ProgramFailure) in
        if let first = gathered.compactMap(\.failure).min(by: { $0.block < $1.block }) { throw first.failure }
        // Users of each rank that the hooks have seen.
        var seen = [Int](repeating: 0, count: size)
        for index in start..<end {
          let asked = users.users(of: index)
          if asked.isEmpty { continue }
          let (block, rank) = (EvaluationBlock(index: index, users: asked), (index - start) % size)
          let results = Array(gathered[rank].users[seen[rank]..<seen[rank] + asked.count])
          seen[rank] += asked.count
          for hook in hooks { try hook.beforeRun(block) }
          for hook in hooks { try hook.afterRun(block, results) }
        }
      }
    }
  }

  /// The most-popular baseline's metrics: they depend on the data alone, so they are found once.
  private func baseline(
    _ split: EvaluationSplit, _ sample: UserSample?, _ users: EvaluatedUsers,
    _ candidates: [(EvaluationProtocol, NegativeDraws.Drawn?)]
  ) -> [(key: String, value: Double)] {
    let key = BaselineKey(split: split, sample: sample)
    let found = baselines[key] ?? baseline(users)
    baselines[key] = found
    return candidates.flatMap { evaluationProtocol, drawn in
      (drawn?.baseline ?? found.full).metrics(evaluationProtocol, prefix: "popularity/")
    } + found.lists.metrics(prefix: "popularity/")
  }

  private func baseline(_ users: EvaluatedUsers) -> Baseline {
    var baseline = PopularityBaseline(itemCounts: dataset.itemCounts)
    var result = Baseline(lists: ListStatistics(itemCounts: dataset.itemCounts))
    for user in (0..<users.blockCount).lazy.flatMap(users.users) {
      let (history, label) = users.heldOut(of: user)
      let (rank, topItems) = baseline.full(history: excluded(history), label: label)
      result.full.add(rank: rank)
      result.lists.add(topItems)
    }
    return result
  }

  /// The items that the full protocol leaves out.
  private func excluded(_ history: UnsafeBufferPointer<Int32>) -> UnsafeBufferPointer<Int32> {
    keepSeen ? UnsafeBufferPointer(rebasing: history[..<0]) : history
  }

  /// Held-out items that their users had before are ranked here, but not recommended.
  private func repeats(_ users: EvaluatedUsers) -> [String] {
    let count = (0..<users.blockCount).lazy.flatMap(users.users).count { user in
      let (history, label) = users.heldOut(of: user)
      return history.contains(label)
    }
    var notes: [String] = []
    if count > 0 {
      notes.append(
        "\(count) of \(users.count) held-out items are in their user's history, where `recommend` hides them (unless --keep-seen)")
    }
    if keepSeen { notes.append("full: ranked among all items, those of the user's history included (--keep-seen)") }
    return notes
  }

  private func notes(_ candidates: [(EvaluationProtocol, NegativeDraws.Drawn?)], _ userCount: Int) -> [String] {
    var notes: [String] = []
    for (evaluationProtocol, drawn) in candidates {
      guard let exceptions = drawn?.exceptions, let wanted = evaluationProtocol.negativeCount else { continue }
      let name = "\(evaluationProtocol.rawValue): "
      let cases = [
        (exceptions.shortUsers, "fewer than \(wanted) unrated items, all of which are their candidates"),
        (
          exceptions.filledUsers,
          "candidates filled in order of ids: \(NegativeSampler.maximumRounds) rounds did not draw \(wanted) of them"
        ),
        (exceptions.emptyUsers, "no unrated item at all, so their held-out item stands at rank 1 without competition"),
      ]
      for (count, text) in cases where count > 0 { notes.append(name + "\(count) of \(userCount) users have \(text)") }
    }
    return notes
  }
}
