import InteractionData
import SystemSupport

/// HR, NDCG and MRR of each protocol, and what the top-10 lists look like: item coverage@10 (the part of the
/// catalogue that stands in anybody's list) and mean popularity@10 (interactions of a recommended item, averaged over
/// a list, then over users).
public final class RankingHook: EvaluationHook {
  /// In front of every key: "popularity/" for the baseline.
  private let prefix: String
  private var protocols: [EvaluationProtocol] = []
  private var itemCounts: [Int64] = []
  private var sums: [MetricSums] = []
  private var isRecommended: [Bool] = []
  private var recommendedCount = 0
  private var popularitySum = 0.0
  private var listCount = 0

  public init(prefix: String = "") { self.prefix = prefix }

  public func begin(_ context: EvaluationContext) {
    protocols = context.protocols
    itemCounts = context.dataset.itemCounts
    sums = [MetricSums](repeating: MetricSums(), count: protocols.count)
    isRecommended = [Bool](repeating: false, count: itemCounts.count + 1)
    recommendedCount = 0
    popularitySum = 0
    listCount = 0
  }

  public func afterRun(_ block: EvaluationBlock, _ results: [UserResult]) {
    for result in results { add(outcomes: result.outcomes, topItems: result.topItems) }
  }

  func add(outcomes: [ProtocolOutcome], topItems: [Int32]) {
    for (index, outcome) in outcomes.enumerated() { sums[index].add(rank: outcome.rank) }
    guard !topItems.isEmpty else { return }
    var countSum = 0.0
    for item in topItems {
      countSum += Double(itemCounts[Int(item) - 1])
      if !isRecommended[Int(item)] {
        isRecommended[Int(item)] = true
        recommendedCount += 1
      }
    }
    popularitySum += countSum / Double(topItems.count)
    listCount += 1
  }

  /// The sums of a protocol; nil when it was not asked for.
  public func sums(_ evaluationProtocol: EvaluationProtocol) -> MetricSums? {
    protocols.firstIndex(of: evaluationProtocol).map { sums[$0] }
  }

  /// The original's line of metrics (its full-width comma made an ordinary one), labelled with protocol and number of
  /// users.
  public func line(_ evaluationProtocol: EvaluationProtocol) -> String {
    guard let sums = sums(evaluationProtocol) else { return "" }
    let values = [
      ("ndcg@1", "ndcg@1"), ("hit@1", "hit@1"), ("ndcg@5", "ndcg@5"), ("hit@5", "hit@5"), ("ndcg@10", "ndcg@10"),
      ("hit@10", "hit@10"), ("ap", "mrr"),
    ].map { name, key in "\(name):\(sums.mean(key) ?? 0)" }
    return "[\(prefix)\(evaluationProtocol.rawValue), \(sums.count) users] "
      + (values + ["valid_user:\(sums.count)"]).joined(separator: ", ")
  }

  public var metrics: [(key: String, value: Double)] {
    var result: [(key: String, value: Double)] = []
    for (evaluationProtocol, sums) in zip(protocols, sums) {
      for (name, mean) in zip(Metrics.names, sums.means) {
        result.append((prefix + evaluationProtocol.key(name), mean))
      }
    }
    // The lists are made of all items that are not in the history: the candidates of the full ranking.
    let full = EvaluationProtocol.full
    result.append((prefix + full.key("coverage@10"), Double(recommendedCount) / Double(max(1, itemCounts.count))))
    result.append((prefix + full.key("mean_popularity@10"), listCount == 0 ? 0 : popularitySum / Double(listCount)))
    return result
  }
}
