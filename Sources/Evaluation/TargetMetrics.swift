import SystemSupport

/// Metrics of a list of recommended items where a user has several relevant ones, the targets; an item is relevant or it is not.
///
/// With rel(r) = 1 where the item at place r (from 1) is a target, else 0, T targets, and f(k) = rel(1) + ... + rel(k):
/// hit@k = [f(k) > 0]; recall@k = f(k) / T; precision@k = f(k) / k, also for a list that is shorter;
/// ndcg@k = Σ_{r <= k} rel(r) / log2(r + 1) over Σ_{r <= min(k, T)} 1 / log2(r + 1) (Järvelin & Kekäläinen 2002);
/// map@k = Σ_{r <= k} rel(r) f(r) / r / T; mrr@k = 1 / (first r <= k with rel(r) = 1), or 0.
/// The same as RecTools' `HitRate`, `Recall`, `Precision`, `NDCG(divide_by_achievable=True)`, `MAP` and `MRR`.
package enum TargetMetrics {
  /// In the order of reports.
  package static let names = ["hit", "recall", "precision", "ndcg", "map", "mrr"]
  package static let defaultCutoffs = [1, 5, 10, 20, 50]

  /// One list's values: (cut-offs, names), row-major.
  ///
  /// - Parameters:
  ///   - found: whether the item at each place is a target, best first.
  ///   - targetCount: T, at least 1; those that no list can hold count too.
  ///   - cutoffs: ascending.
  package static func values(found: [Bool], targetCount: Int, cutoffs: [Int]) -> [Double] {
    precondition(targetCount > 0)
    var values: [Double] = []
    values.reserveCapacity(cutoffs.count * names.count)
    var (place, hits, first) = (0, 0, 0)
    var (gain, precisions) = (0.0, 0.0)
    var (ideal, idealPlace) = (0.0, 0)
    for cutoff in cutoffs {
      while place < min(cutoff, found.count) {
        place += 1
        guard found[place - 1] else { continue }
        hits += 1
        if first == 0 { first = place }
        gain += discount(place)
        precisions += Double(hits) / Double(place)
      }
      while idealPlace < min(cutoff, targetCount) {
        idealPlace += 1
        ideal += discount(idealPlace)
      }
      values += [
        hits > 0 ? 1 : 0, Double(hits) / Double(targetCount), Double(hits) / Double(cutoff), gain / ideal,
        precisions / Double(targetCount), first > 0 ? Metrics.reciprocalRank(Double(first)) : 0,
      ]
    }
    return values
  }

  private static func discount(_ place: Int) -> Double { 1 / PortableMath.log2(Double(place + 1)) }
}

/// Means of the metrics of many lists, added one by one in the order given.
struct TargetSums {
  private let cutoffs: [Int]
  private var sums: [Double]  // (cut-offs, names)
  private var count = 0

  init(cutoffs: [Int]) {
    self.cutoffs = cutoffs
    sums = [Double](repeating: 0, count: cutoffs.count * TargetMetrics.names.count)
  }

  mutating func add(list: [Int32], targets: Set<Int32>) {
    let found = list.map(targets.contains)
    let values = TargetMetrics.values(found: found, targetCount: targets.count, cutoffs: cutoffs)
    for (index, value) in values.enumerated() { sums[index] += value }
    count += 1
  }

  /// Under the keys of reports, a metric at all its cut-offs after the other.
  func metrics(prefix: String) -> [(key: String, value: Double)] {
    let names = TargetMetrics.names
    return names.indices.flatMap { name in
      cutoffs.indices.map { cutoff in
        let sum = sums[cutoff * names.count + name]
        return (
          prefix + EvaluationProtocol.full.key("\(names[name])@\(cutoffs[cutoff])"), count == 0 ? 0 : sum / Double(count)
        )
      }
    }
  }
}
