/// Puts the sums of one rank's threads together, so that the result does not depend on how many threads there are.
///
/// Each thread has an accumulator for a contiguous part of the rank's shards. When all are complete, one thread calls
/// `prepare()`, then any number of threads call `add(elements:)` for ranges that together cover the buffers once, then
/// `sums` holds the maximal nodes of all shards. The additions go element by element, so the ranges do not matter to
/// the result. One accumulator works too: then there is nothing to add.
package final class ThreadMerge: @unchecked Sendable {
  /// The sums of the maximal nodes of all accumulators' shards, in ascending order, in buffers of the accumulators;
  /// valid when all elements have been added, until an accumulator is reset.
  package private(set) var sums: [PartialSum] = []

  package let accumulators: [ShardAccumulator]
  private let schedule: TreeSchedule
  private var parts: [UnsafeMutableBufferPointer<Float>] = []

  /// `accumulators` in ascending order of their shards, without gaps; some may have no shards.
  package init(_ accumulators: [ShardAccumulator]) {
    precondition(!accumulators.isEmpty)
    for (left, right) in zip(accumulators, accumulators.dropFirst()) {
      precondition(left.shards.upperBound == right.shards.lowerBound && left.length == right.length)
    }
    self.accumulators = accumulators
    schedule = TreeSchedule(merging: accumulators.flatMap { ShardTree.maximalNodes(of: $0.shards) })
  }

  package func prepare() {
    parts.removeAll(keepingCapacity: true)
    sums.removeAll(keepingCapacity: true)
    for accumulator in accumulators {
      precondition(accumulator.isComplete, "a thread has not added all of its shards")
      for sum in accumulator.sums { parts.append(sum.values) }
    }
    for (node, slot) in zip(schedule.nodes, schedule.slots) { sums.append(PartialSum(node: node, values: parts[slot])) }
  }

  package func add(elements: Range<Int>) {
    for addition in schedule.additions {
      guard let into = parts[addition.into].baseAddress, let from = parts[addition.from].baseAddress else { continue }
      GradientSum.add(from + elements.lowerBound, into: into + elements.lowerBound, count: elements.count)
    }
  }
}
