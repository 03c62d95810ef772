import Communication
import SystemSupport

/// Sums the rows of all shards of all ranks, in the order of the tree, so that every rank has the sum: the rows that any shard has.
///
/// Each rank first adds what its threads bring to its maximal nodes, sends these to all others, and adds all nodes itself. What
/// crosses the network is the rows, once per other rank.
package final class RowReduction {
  private let communicator: any Communicator
  private let width: Int
  /// Of each rank.
  private let nodes: [[TreeNode]]
  private let ofThreads: TreeSchedule
  private let ofRanks: TreeSchedule
  /// Where sums are made, and what comes from other ranks.
  private var lists: [RowList]
  private var spares: [RowList] = []
  private let spareCount: Int
  private var sums: [RowList] = []
  private let ownCounts: UnsafeMutablePointer<Int64>
  private let allCounts: UnsafeMutablePointer<Int64>
  /// Most nodes of a rank.
  private let nodeCount: Int
  private let sent: RowList
  private let received: RowList

  /// - Parameter threads: the nodes that this rank's accumulators bring, ascending.
  package init(communicator: any Communicator, shardCount: Int, threads: [TreeNode], width: Int) {
    self.communicator = communicator
    self.width = width
    let size = communicator.size
    nodes = (0..<size).map { ShardTree.maximalNodes(of: ShardTree.range(part: $0, of: size, in: 0..<shardCount)) }
    ofThreads = TreeSchedule(merging: threads)
    ofRanks = TreeSchedule(summing: nodes.flatMap { $0 })
    precondition(ofThreads.nodes == nodes[communicator.rank])
    nodeCount = nodes.map(\.count).max() ?? 1
    let total = nodes.reduce(0) { $0 + $1.count }
    // An addition writes beside its parts, of which the left one's list is then free if it is one of these.
    spareCount = ofThreads.additions.count + ofRanks.additions.count
    lists = (0..<(spareCount + (size > 1 ? total : 0))).map { _ in RowList(width: width) }
    ownCounts = .allocate(capacity: nodeCount)
    allCounts = .allocate(capacity: nodeCount * size)
    ownCounts.initialize(repeating: 0, count: nodeCount)
    allCounts.initialize(repeating: 0, count: nodeCount * size)
    sent = RowList(width: 1)
    received = RowList(width: 1)
  }

  deinit {
    ownCounts.deallocate()
    allCounts.deallocate()
  }

  /// Collective. `own`: what this rank's accumulators hold, ascending. The sum is valid until the next call.
  package func reduce(_ own: [RowSum]) throws(CollectiveFailure) -> RowList {
    spares.removeAll(keepingCapacity: true)
    spares.append(contentsOf: lists[..<spareCount])
    sums.removeAll(keepingCapacity: true)
    for sum in own { sums.append(sum.rows) }
    add(ofThreads)
    if communicator.size > 1 { try exchange() }
    add(ofRanks)
    return sums[0]
  }

  private func add(_ schedule: TreeSchedule) {
    for addition in schedule.additions {
      guard let sum = spares.popLast() else { preconditionFailure("a list for each addition") }
      sum.setSum(sums[addition.into], sums[addition.from])
      sums[addition.into] = sum
    }
    // The nodes that are left, in order.
    for (index, slot) in schedule.slots.enumerated() { sums.swapAt(index, slot) }
    sums.removeLast(sums.count - schedule.slots.count)
  }

  /// From this rank's nodes to those of all ranks.
  private func exchange() throws(CollectiveFailure) {
    for (index, rows) in sums.enumerated() { ownCounts[index] = Int64(rows.count) }
    try communicator.allGatherRecords(
      UnsafeRawBufferPointer(start: ownCounts, count: nodeCount * 8),
      into: UnsafeMutableRawBufferPointer(start: allCounts, count: nodeCount * communicator.size * 8))
    var counts: [Int] = []
    for rank in nodes.indices {
      counts.append((0..<nodeCount).reduce(0) { $0 + Int(allCounts[rank * nodeCount + $1]) } * (width + 1))
    }
    guard counts.reduce(0, +) < Int(Int32.max) else {
      throw .onEveryRank(
        .usage,
        "a step touches so many rows that their gradients are more than one message holds: lower batch_size, negatives or "
          + "sce_bucket_items, or train with loss full")
    }
    // Ids go as numbers of the same size, whose bits nobody looks at.
    sent.resize(counts[communicator.rank])
    var place = sent.values
    for rows in sums {
      UnsafeMutableRawPointer(place).copyMemory(from: rows.ids, byteCount: rows.count * 4)
      (place + rows.count).update(from: rows.values, count: rows.count * width)
      place += rows.count * (width + 1)
    }
    received.resize(counts.reduce(0, +))
    try communicator.allGatherBlocks(sent.values, into: received.values, BlockLayout(counts: counts))
    place = received.values
    sums.removeAll(keepingCapacity: true)
    for rank in nodes.indices {
      for index in nodes[rank].indices {
        let rows = lists[spareCount + sums.count]
        rows.resize(Int(allCounts[rank * nodeCount + index]))
        UnsafeMutableRawPointer(rows.ids).copyMemory(from: place, byteCount: rows.count * 4)
        rows.values.update(from: place + rows.count, count: rows.count * width)
        place += rows.count * (width + 1)
        sums.append(rows)
      }
    }
  }
}
