import InteractionData
import SystemSupport

/// HR, NDCG and MRR of each protocol, and what the top-10 lists look like: item coverage@10 (the part of the
/// catalogue that stands in anybody's list) and mean popularity@10 (interactions of a recommended item, averaged over
/// a list, then over users).
package final class RankingHook: EvaluationHook {
  private var protocols: [EvaluationProtocol] = []
  private var sums: [MetricSums] = []
  private var lists = ListStatistics(itemCounts: [])
  /// " of 6040" where a sample of the users is asked.
  private var ofAll = ""

  package init() {}

  package func begin(_ context: EvaluationContext) {
    protocols = context.protocols
    sums = [MetricSums](repeating: MetricSums(), count: protocols.count)
    lists = ListStatistics(itemCounts: context.dataset.itemCounts)
    ofAll = context.userCount < context.totalUserCount ? " of \(context.totalUserCount)" : ""
  }

  package func afterRun(_ block: EvaluationBlock, _ results: [UserResult]) {
    for result in results {
      for (index, outcome) in result.outcomes.enumerated() { sums[index].add(rank: outcome.rank) }
      lists.add(result.topItems)
    }
  }

  /// The sums of a protocol; nil when it was not asked for.
  package func sums(_ evaluationProtocol: EvaluationProtocol) -> MetricSums? {
    protocols.firstIndex(of: evaluationProtocol).map { sums[$0] }
  }

  /// The original's line of metrics (its full-width comma made an ordinary one), labelled with protocol and number of
  /// users.
  package func line(_ evaluationProtocol: EvaluationProtocol) -> String {
    guard let sums = sums(evaluationProtocol) else { return "" }
    let values = [
      ("ndcg@1", "ndcg@1"), ("hit@1", "hit@1"), ("ndcg@5", "ndcg@5"), ("hit@5", "hit@5"), ("ndcg@10", "ndcg@10"),
      ("hit@10", "hit@10"), ("ap", "mrr"),
    ].map { name, key in "\(name):\(sums.mean(key) ?? 0)" }
    return "[\(evaluationProtocol.rawValue), \(sums.count)\(ofAll) users] "
      + (values + ["valid_user:\(sums.count)"]).joined(separator: ", ")
  }

  package var metrics: [(key: String, value: Double)] {
    zip(protocols, sums).flatMap { $1.metrics($0) } + lists.metrics
  }
}

extension MetricSums {
  /// Under the keys of reports.
  func metrics(_ evaluationProtocol: EvaluationProtocol, prefix: String = "") -> [(key: String, value: Double)] {
    zip(Metrics.names, means).map { (prefix + evaluationProtocol.key($0), $1) }
  }
}

/// What lists of recommended items look like.
struct ListStatistics {
  private let itemCounts: [Int64]
  private var isRecommended: [Bool]
  private var recommendedCount = 0
  private var popularitySum = 0.0
  private var listCount = 0

  init(itemCounts: [Int64]) {
    self.itemCounts = itemCounts
    isRecommended = [Bool](repeating: false, count: itemCounts.count + 1)
  }

  mutating func add(_ items: [Int32]) {
    guard !items.isEmpty else { return }
    var countSum = 0.0
    for item in items {
      countSum += Double(itemCounts[Int(item) - 1])
      if !isRecommended[Int(item)] {
        isRecommended[Int(item)] = true
        recommendedCount += 1
      }
    }
    popularitySum += countSum / Double(items.count)
    listCount += 1
  }

  var metrics: [(key: String, value: Double)] { metrics(prefix: "") }

  func metrics(prefix: String) -> [(key: String, value: Double)] {
    // The lists are made of all items that are not in the history: the candidates of the full ranking.
    let full = EvaluationProtocol.full
    return [
      (prefix + full.key("coverage@10"), Double(recommendedCount) / Double(max(1, itemCounts.count))),
      (prefix + full.key("mean_popularity@10"), listCount == 0 ? 0 : popularitySum / Double(listCount)),
    ]
  }
}
