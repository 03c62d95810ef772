import SystemSupport

/// Metrics of one relevant item that stands at rank r among its candidates, counted from 1.
///
/// Ties are neither good nor bad luck: r = 1 + greater + half of the equal ones, so ranks may end in .5 and a
/// constant model gets the middle rank.
package enum Metrics {
  package static let cutoffs = [1, 5, 10]

  /// `greater` and `equal`: candidates that score above and like the label; the label itself is not among the equal
  /// ones.
  package static func rank(greater: Int, equal: Int) -> Double { 1 + Double(greater) + Double(equal) / 2 }

  /// HR@k (= Recall@k): [r <= k].
  package static func hit(rank: Double, at cutoff: Int) -> Double { rank <= Double(cutoff) ? 1 : 0 }

  /// NDCG@k: [r <= k] / log2(r + 1).
  package static func ndcg(rank: Double, at cutoff: Int) -> Double { rank <= Double(cutoff) ? 1 / PortableMath.log2(rank + 1) : 0 }

  /// 1 / r; its mean is the MRR.
  package static func reciprocalRank(_ rank: Double) -> Double { 1 / rank }

  /// Names of a ranking's metrics in the order of reports.
  package static let names = cutoffs.map { "hit@\($0)" } + cutoffs.map { "ndcg@\($0)" } + ["mrr"]
}

/// Sums of the metrics of many ranks, added one by one in the order given.
package struct MetricSums: Sendable, Equatable {
  package private(set) var count = 0
  private var sums = [Double](repeating: 0, count: Metrics.names.count)

  package init() {}

  package mutating func add(rank: Double) {
    count += 1
    let cutoffs = Metrics.cutoffs
    for (index, cutoff) in cutoffs.enumerated() {
      sums[index] += Metrics.hit(rank: rank, at: cutoff)
      sums[cutoffs.count + index] += Metrics.ndcg(rank: rank, at: cutoff)
    }
    sums[2 * cutoffs.count] += Metrics.reciprocalRank(rank)
  }

  /// Means in the order of `Metrics.names`; zeros when nothing was added.
  package var means: [Double] { count == 0 ? sums : sums.map { $0 / Double(count) } }

  /// The mean of a metric by its name, such as "ndcg@10"; nil for an unknown name.
  package func mean(_ name: String) -> Double? { Metrics.names.firstIndex(of: name).map { means[$0] } }
}
