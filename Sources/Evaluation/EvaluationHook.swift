import InteractionData
import SystemSupport

/// What an evaluation is about; the same for all of its hooks' calls.
public struct EvaluationContext: Sendable {
  /// Whose users are asked.
  public var dataset: Dataset
  /// Which of their items is held out.
  public var split: EvaluationSplit
  /// Updates the model has had.
  public var step: Int
  /// In the order in which they were asked for.
  public var protocols: [EvaluationProtocol]
  /// Users that are asked, each exactly once: all that have a held-out item, or a sample of these.
  public var userCount: Int
  /// Users with a held-out item.
  public var totalUserCount: Int
}

/// Users that are scored together: those of 64 consecutive indices that have a held-out item, or 64 consecutive ones of a
/// sample.
public struct EvaluationBlock: Sendable, Equatable {
  /// Users per block.
  public static let size = 64

  /// Users `64 * index ..< 64 * (index + 1)`, of the data set or of the sample.
  public var index: Int
  /// User indices, ascending; never empty.
  public var users: [Int]
}

/// Where the held-out item stands in one protocol.
public struct ProtocolOutcome: Sendable, Equatable {
  /// The protocol in question.
  public var evaluationProtocol: EvaluationProtocol
  /// From 1; ties count half, so it may end in .5 (`Metrics`).
  public var rank: Double
  /// Candidates, the held-out item included.
  public var candidateCount: Int
}

/// What the model did for one user.
public struct UserResult: Sendable, Equatable {
  /// Index into the data set's users.
  public var user: Int
  /// The held-out item.
  public var label: Int32
  /// One per protocol, in the context's order.
  public var outcomes: [ProtocolOutcome]
  /// -log of the label's softmax probability over the whole vocabulary (V).
  public var maskedItemLoss: Double
  /// Whether the label has the highest score of the whole vocabulary; of equal ones the first counts.
  public var isTopPrediction: Bool
  /// The (up to) 10 best items that are not in the history, best first; ties by id. The label is left in, also when the
  /// history holds it.
  public var topItems: [Int32]

  /// The rank in a protocol; nil when it was not asked for.
  public func rank(_ evaluationProtocol: EvaluationProtocol) -> Double? {
    outcomes.first { $0.evaluationProtocol == evaluationProtocol }?.rank
  }
}

/// Watches an evaluation: the counterpart of the original's session hook. A metric of one's own takes ten lines:
/// ```swift
/// final class MedianRank: EvaluationHook {
///   private var ranks: [Double] = []
///   func begin(_ context: EvaluationContext) { ranks = [] }
///   func afterRun(_ block: EvaluationBlock, _ results: [UserResult]) {
///     ranks += results.compactMap { $0.rank(.full) }
///   }
///   var metrics: [(key: String, value: Double)] {
///     ranks.isEmpty ? [] : [("median_rank[full]", ranks.sorted()[ranks.count / 2])]
///   }
/// }
/// ```
/// Hooks are called on rank 0 alone: `begin`; for each block, in user order, `beforeRun` and `afterRun`; `end`. Every
/// user comes exactly once, and the calls are the same on any number of ranks: ranks score ahead of them, some blocks
/// at a time. Hooks only read. What one throws ends the evaluation on every rank with that failure.
public protocol EvaluationHook: AnyObject {
  /// The evaluation begins.
  func begin(_ context: EvaluationContext) throws(ProgramFailure)
  /// The block's results come next.
  func beforeRun(_ block: EvaluationBlock) throws(ProgramFailure)
  /// `results`: one per user, in the order of `block.users`.
  func afterRun(_ block: EvaluationBlock, _ results: [UserResult]) throws(ProgramFailure)
  /// All blocks are done.
  func end(_ context: EvaluationContext) throws(ProgramFailure)
  /// What goes into the report, read after `end`.
  var metrics: [(key: String, value: Double)] { get }
}

extension EvaluationHook {
  /// The evaluation begins.
  public func begin(_ context: EvaluationContext) throws(ProgramFailure) {}
  public func beforeRun(_ block: EvaluationBlock) throws(ProgramFailure) {}
  public func afterRun(_ block: EvaluationBlock, _ results: [UserResult]) throws(ProgramFailure) {}
  /// All blocks are done.
  public func end(_ context: EvaluationContext) throws(ProgramFailure) {}
  public var metrics: [(key: String, value: Double)] { [] }
}
