import Collectives
import InteractionData
import MaskedInstances
import SystemSupport

/// Ranks every user's held-out item, with all ranks at work.
///
/// Users come in fixed blocks of 64 by index; rank r scores the blocks r, r + size, ...; rank 0 gathers the results
/// in rounds, hands them to the hooks in user order, and sums. So neither a metric's bits nor the hooks' calls depend
/// on the number of ranks, and memory does not grow with the number of users. Negatives are drawn once a split and
/// kept, on rank 0, which broadcasts them.
public final class Evaluator {
  /// Blocks a rank scores before results are gathered.
  static let blocksPerRound = 16

  private let dataset: Dataset
  private let tokens: TokenIDs
  private let maximumLength: Int
  private let communicator: any Communicator
  private let split: LeaveOneOut
  private var samples: [SampleKey: NegativeSamples] = [:]
  private var baselines: [BaselineKey: [(key: String, value: Double)]] = [:]

  private struct SampleKey: Hashable {
    var split: EvaluationSplit
    var evaluationProtocol: EvaluationProtocol
  }

  private struct BaselineKey: Hashable {
    var split: EvaluationSplit
    var protocols: [EvaluationProtocol]
  }

  /// Every rank has the data set. `maximumLength`: tokens of a query, `[MASK]` included.
  public init(dataset: Dataset, maximumLength: Int, communicator: any Communicator) {
    precondition(maximumLength >= 1)
    self.dataset = dataset
    tokens = TokenIDs(itemCount: dataset.itemCount)
    self.maximumLength = maximumLength
    self.communicator = communicator
    split = LeaveOneOut(dataset.sequences, holdout: .testAndValidation)
  }

  /// Collective: every rank calls it with the same arguments, its own replica of the scorer, and gets the report on
  /// rank 0, nil elsewhere. Hooks of other ranks than 0 are not called.
  ///
  /// Throws, on every rank the same, `badData` when no user has a held-out item, `usage` when the model is of another
  /// catalogue, `internalFault` when scores are not finite, and whatever the scorer or a hook throws.
  public func evaluate(
    _ scorer: any SequenceScorer, split evaluated: EvaluationSplit,
    protocols: [EvaluationProtocol] = EvaluationProtocol.allCases, step: Int, hooks: [any EvaluationHook] = []
  ) throws(Failure) -> EvaluationReport? {
    do throws(Failure) { try checkVocabulary(of: scorer, tokens) } catch { throw communicator.shared(error) }
    var distinct: [EvaluationProtocol] = []
    for evaluationProtocol in protocols where !distinct.contains(evaluationProtocol) {
      distinct.append(evaluationProtocol)
    }
    let userCount = (0..<dataset.sequences.userCount).count { split.hasEvaluationItems(user: $0) }
    guard userCount > 0 else {
      throw communicator.shared(
        Failure(
          .badData,
          "no user of \(dataset.name) has \(LeaveOneOut.minimumLength) interactions, so there is no item to hold out; "
            + "give a data set with longer histories"))
    }
    let context = EvaluationContext(
      dataset: dataset, split: evaluated, step: step, protocols: distinct, userCount: userCount)
    var candidates: [(EvaluationProtocol, NegativeSamples?)] = []
    for evaluationProtocol in distinct {
      candidates.append((evaluationProtocol, try negatives(evaluationProtocol, evaluated)))
    }

    let isRoot = communicator.rank == 0
    let ranking = RankingHook()
    let called: [any EvaluationHook] = isRoot ? [ranking, MaskedItemHook()] + hooks : []
    try communicator.onRankZero { () throws(Failure) in for hook in called { try hook.begin(context) } }
    try score(
      BlockScorer(
        scorer, sequences: dataset.sequences, split: evaluated, tokens: tokens, maximumLength: maximumLength,
        candidates: candidates), distinct, called)
    try communicator.onRankZero { () throws(Failure) in for hook in called { try hook.end(context) } }
    guard isRoot else { return nil }

    return EvaluationReport(
      split: evaluated, step: step, users: userCount, protocols: distinct,
      metrics: called[..<2].flatMap(\.metrics) + baseline(context) + called[2...].flatMap(\.metrics),
      lines: distinct.map(ranking.line), notes: notes(candidates, userCount))
  }

  /// Rounds of scoring here, gathering on rank 0, and agreeing on whether to go on.
  private func score(
    _ blockScorer: BlockScorer, _ protocols: [EvaluationProtocol], _ hooks: [any EvaluationHook]
  ) throws(Failure) {
    var blockScorer = blockScorer
    let size = communicator.size
    let blockCount = (dataset.sequences.userCount + EvaluationBlock.size - 1) / EvaluationBlock.size
    for start in stride(from: 0, to: blockCount, by: Self.blocksPerRound * size) {
      let end = min(start + Self.blocksPerRound * size, blockCount)
      var message = ResultMessage()
      for block in stride(from: start + communicator.rank, to: end, by: size) {
        do {
          try blockScorer.score(block: block, into: &message)
        } catch {
          message = ResultMessage(error, block: block)
          break
        }
      }
      let gathered = try communicator.gather(message.bytes)
      // Whatever goes wrong on one rank stops all of them here, instead of leaving the others to wait for it.
      try communicator.onRankZero { () throws(Failure) in
        var readers = gathered.map(ResultReader.init)
        if let first = readers.compactMap(\.failure).min(by: { $0.block < $1.block }) { throw first.failure }
        guard !readers.isEmpty else { return }
        for index in start..<end {
          let users = BlockScorer.users(of: index, split)
          if users.isEmpty { continue }
          let block = EvaluationBlock(index: index, users: users)
          let results = users.map { _ in readers[(index - start) % size].next(protocols) }
          for hook in hooks { try hook.beforeRun(block) }
          for hook in hooks { try hook.afterRun(block, results) }
        }
      }
    }
  }

  /// Drawn on rank 0 the first time, while the others sleep.
  private func negatives(
    _ evaluationProtocol: EvaluationProtocol, _ evaluated: EvaluationSplit
  ) throws(Failure) -> NegativeSamples? {
    guard evaluationProtocol.negativeCount != nil else { return nil }
    let key = SampleKey(split: evaluated, evaluationProtocol: evaluationProtocol)
    if let known = samples[key] { return known }
    var drawn = NegativeSamples(offsets: [], items: [])
    if communicator.rank == 0 {
      drawn =
        NegativeSampler.draw(
          evaluationProtocol, sequences: dataset.sequences, itemCounts: dataset.itemCounts, split: evaluated) ?? drawn
    }
    if communicator.size > 1 {
      // The others sleep while rank 0 draws.
      try communicator.waitForAll()
      let counts = try communicator.broadcastArray([drawn.shortUserCount, drawn.filledUserCount, drawn.emptyUserCount])
      drawn.offsets = try communicator.broadcastArray(drawn.offsets)
      drawn.items = try communicator.broadcastArray(drawn.items)
      (drawn.shortUserCount, drawn.filledUserCount, drawn.emptyUserCount) = (counts[0], counts[1], counts[2])
    }
    samples[key] = drawn
    return drawn
  }

  /// The most-popular baseline's metrics: they depend on the data alone, so they are found once.
  private func baseline(_ context: EvaluationContext) -> [(key: String, value: Double)] {
    let key = BaselineKey(split: context.split, protocols: context.protocols)
    if let known = baselines[key] { return known }
    var baseline = PopularityBaseline(itemCounts: dataset.itemCounts)
    let metrics = baseline.evaluate(context) {
      samples[SampleKey(split: context.split, evaluationProtocol: $0)]
    }.metrics
    baselines[key] = metrics
    return metrics
  }

  private func notes(_ candidates: [(EvaluationProtocol, NegativeSamples?)], _ userCount: Int) -> [String] {
    var notes: [String] = []
    for (evaluationProtocol, samples) in candidates {
      guard let samples, let wanted = evaluationProtocol.negativeCount else { continue }
      let name = "\(evaluationProtocol.rawValue): "
      let cases = [
        (samples.shortUserCount, "fewer than \(wanted) unrated items, all of which are their candidates"),
        (
          samples.filledUserCount,
          "candidates filled in order of ids: \(NegativeSampler.maximumRounds) rounds did not draw \(wanted) of them"
        ),
        (samples.emptyUserCount, "no unrated item at all, so their held-out item stands at rank 1 without competition"),
      ]
      for (count, text) in cases where count > 0 { notes.append(name + "\(count) of \(userCount) users have \(text)") }
    }
    return notes
  }
}
