import SystemSupport

/// What a rank knows of its replica: the bit sum of parameters and moments (`Adam`), and whether memory still held what the update
/// before had left there.
package struct ReplicaCheck: Equatable, Sendable {
  package var sum: UInt64
  package var memoryHolds: Bool

  package init(sum: UInt64, memoryHolds: Bool) {
    self.sum = sum
    self.memoryHolds = memoryHolds
  }
}

/// Whether all ranks hold the same model. They compute the same updates for themselves, so a difference means that a memory or a
/// processor has failed (or that a library is not what it says). Gradients of a wrong replica are summed into all of them, so a
/// difference is everybody's: all go back.
package enum ReplicaComparison {
  /// What is wrong, as the beginning of a message; nil where nothing is. `checks` and `hosts` in rank order.
  package static func problem(_ checks: [ReplicaCheck], hosts: [String]) -> String? {
    func names(_ ranks: [Int]) -> String {
      let shown = ranks.prefix(3).map { "\($0) on host \(hosts[$0])" }.joined(separator: ", ")
      return "rank\(ranks.count == 1 ? "" : "s") \(shown)" + (ranks.count > 3 ? " and \(ranks.count - 3) more" : "")
    }
    let failed = checks.indices.filter { !checks[$0].memoryHolds }
    if !failed.isEmpty { return "the memory of \(names(failed)) does not hold what the last step left in it" }
    let groups = Dictionary(grouping: checks.indices) { checks[$0].sum }
    if groups.count == 1 { return nil }
    let largest = groups.values.max { $0.count < $1.count } ?? []
    if 2 * largest.count > checks.count {
      let odd = checks.indices.filter { checks[$0].sum != checks[largest[0]].sum }
      return "the \(odd.count == 1 ? "replica" : "replicas") of \(names(odd)) \(odd.count == 1 ? "differs" : "differ") from those of the "
        + "other \(largest.count) ranks, which agree"
    }
    return "the replicas of \(names(Array(checks.indices))) differ, and nothing tells which is right"
  }
}

/// Counts how often a run has gone back because of what replicas had become.
package struct Returns {
  /// To one checkpoint. What spoils the same stretch again and again is no accident.
  package static let limit = 3

  private var step: Int?
  package private(set) var count = 0

  package init() {}

  /// Whether the run may go back to this step once more.
  package mutating func mayReturn(to step: Int) -> Bool {
    count = self.step == step ? count + 1 : 1
    self.step = step
    return count <= Self.limit
  }
}
