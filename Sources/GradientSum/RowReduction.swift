import Communication
import SystemSupport
import TableSharding

/// Sums the rows of all shards of all ranks, in the order of the tree: every rank gets the rows that any shard has or, where the table is
/// sharded, its owner's alone.
///
/// Each rank first adds what its threads bring to its maximal nodes, sends these to all others, or of each row to its owner, and adds all
/// nodes that it has got. What crosses the network is the rows: once per other rank, or once. They go in rounds over ascending rows, of
/// a bounded size: a row's sum does not depend on other rows, so rounds change no bits.
package final class RowReduction {
  /// Numbers that a rank sends or receives in a round at most, but for one row of each node: 64 MiB.
  package static let roundElements = 1 << 24

  private let communicator: any Communicator
  private let width: Int
  /// Who gets a row; nil: all.
  private let ownership: RowOwnership?
  /// Of each rank.
  private let nodes: [[TreeNode]]
  private let ofThreads: TreeSchedule
  private let ofRanks: TreeSchedule
  /// Where sums are made, and what comes from other ranks in a round.
  private let sumsOfThreads: [RowList]
  private let sumsOfRanks: [RowList]
  private let ofOthers: [RowList]
  private var sums: [RowList] = []
  private let total: RowList
  /// This rank's nodes, and of each the rows that have been sent.
  private var own: [RowList] = []
  private var sentRows: [Int]
  /// Most nodes of a rank.
  private let nodeCount: Int
  /// Of all nodes of a rank together.
  private let rowsPerRound: Int
  private let records: ReductionRecords
  private var sendLayout: BlockLayout
  private var receiveLayout: BlockLayout
  private let sendBuffer = GrowingBuffer<Float>(for: "the gradients of rows")
  private let receiveBuffer = GrowingBuffer<Float>(for: "the gradients of rows")
  /// Bytes that this rank has sent to others so far.
  package private(set) var sentBytes = 0
  /// Rows that this rank has brought to the last sum: those of its nodes.
  package var ownRowCount: Int { own.reduce(0) { $0 + $1.count } }

  /// - Parameters:
  ///   - threads: the nodes that this rank's accumulators bring, ascending.
  ///   - ownership: who gets a row; nil: all.
  ///   - roundElements: tests make it small.
  package init(
    communicator: any Communicator, shardCount: Int, threads: [TreeNode], width: Int, ownership: RowOwnership? = nil,
    roundElements: Int = RowReduction.roundElements
  ) {
    self.communicator = communicator
    self.width = width
    self.ownership = ownership
    let size = communicator.size
    nodes = (0..<size).map { ShardTree.maximalNodes(of: ShardTree.range(part: $0, of: size, in: 0..<shardCount)) }
    ofThreads = TreeSchedule(merging: threads)
    ofRanks = TreeSchedule(summing: nodes.flatMap { $0 })
    precondition(ofThreads.nodes == nodes[communicator.rank])
    nodeCount = nodes.map(\.count).max() ?? 1
    rowsPerRound = max(nodeCount, roundElements / (width + 1) / size)
    func lists(_ count: Int) -> [RowList] { (0..<count).map { _ in RowList(width: width) } }
    // An addition writes beside its parts.
    sumsOfThreads = lists(ofThreads.additions.count)
    sumsOfRanks = lists(ofRanks.additions.count)
    ofOthers = lists(size > 1 ? nodes.reduce(0) { $0 + $1.count } : 0)
    total = RowList(width: width)
    sentRows = [Int](repeating: 0, count: nodeCount)
    records = ReductionRecords(size: size, nodeCount: nodeCount)
    (sendLayout, receiveLayout) = (BlockLayout(blocks: size), BlockLayout(blocks: size))
  }

  /// Collective. `rows`: what this rank's accumulators hold, ascending. The sum is valid until the next call.
  package func reduce(_ rows: [RowSum]) throws(CollectiveFailure) -> RowList {
    sums.removeAll(keepingCapacity: true)
    for sum in rows { sums.append(sum.rows) }
    add(ofThreads, into: sumsOfThreads)
    own.removeAll(keepingCapacity: true)
    own.append(contentsOf: sums)
    if communicator.size == 1 {
      add(ofRanks, into: sumsOfRanks)
      return sums[0]
    }
    for node in sentRows.indices { sentRows[node] = 0 }
    var isFirst = true
    while true {
      let isLast = try exchangeRound()
      add(ofRanks, into: sumsOfRanks)
      if isFirst {
        if isLast { return sums[0] }
        total.resize(0)
      }
      total.append(sums[0])
      if isLast { return total }
      isFirst = false
    }
  }

  private func add(_ schedule: TreeSchedule, into lists: [RowList]) {
    for (addition, sum) in zip(schedule.additions, lists) {
      sum.setSum(sums[addition.into], sums[addition.from])
      sums[addition.into] = sum
    }
    // The nodes that are left, in order.
    for (index, slot) in schedule.slots.enumerated() { sums.swapAt(index, slot) }
    sums.removeLast(sums.count - schedule.slots.count)
  }

  // MARK: - Rounds

  /// From this rank's nodes to `sums`, those of all ranks. Returns whether that was the last round.
  private func exchangeRound() throws(CollectiveFailure) -> Bool {
    records.ownEnd.pointee = Int64(endOfRound())
    try communicator.allGatherRecords(
      UnsafeRawBufferPointer(start: records.ownEnd, count: 8),
      into: UnsafeMutableRawBufferPointer(start: records.ends, count: 8 * communicator.size))
    let end = (0..<communicator.size).reduce(Int.max) { min($0, Int(records.ends[$1])) }
    pack(below: end)
    if ownership == nil {
      try communicator.allGatherRecords(
        UnsafeRawBufferPointer(start: records.ownCounts, count: 4 * nodeCount),
        into: UnsafeMutableRawBufferPointer(start: records.counts, count: 4 * nodeCount * communicator.size))
    } else {
      try communicator.exchange(records.ownCounts, records.layout, into: records.counts, records.layout)
    }
    for index in 0..<nodeCount * communicator.size where records.counts[index] < 0 {
      throw CollectiveFailure(MessageReader.damage, reach: .thisRank)
    }
    receiveLayout.fill { rank in
      (0..<nodeCount).reduce(0) { $0 + Int(records.counts[rank * nodeCount + $1]) } * (width + 1)
    }
    receiveBuffer.resize(receiveLayout.total)
    if ownership == nil {
      try communicator.allGatherBlocks(sendBuffer.base, into: receiveBuffer.base, receiveLayout)
      sentBytes += Int(receiveLayout.counts[communicator.rank]) * 4 * (communicator.size - 1)
    } else {
      try communicator.exchange(sendBuffer.base, sendLayout, into: receiveBuffer.base, receiveLayout)
      sentBytes += (sendLayout.total - Int(sendLayout.counts[communicator.rank])) * 4
    }
    sentBytes += (8 + 4 * nodeCount) * (communicator.size - 1)
    unpack()
    Liveness.tick()
    return end == Int.max
  }

  /// The row before which a round of this rank may end; Int.max where all that is left goes into it.
  private func endOfRound() -> Int {
    func rows(below end: Int) -> Int {
      own.indices.reduce(0) { $0 + max(0, own[$1].firstIndex(from: end) - sentRows[$1]) }
    }
    if own.indices.reduce(0, { $0 + own[$1].count - sentRows[$1] }) <= rowsPerRound { return Int.max }
    // Rows below `low` fit, those below `high` do not.
    var (low, high) = (0, Int(Int32.max) + 1)
    while high - low > 1 {
      let middle = (low + high) / 2
      if rows(below: middle) <= rowsPerRound { low = middle } else { high = middle }
    }
    return low
  }

  /// Writes this rank's rows below `end` for whom they go to: owner after owner, node after node, a row as its id, whose bits nobody looks
  /// at, and its numbers.
  private func pack(below end: Int) {
    let counts = records.ownCounts
    counts.update(repeating: 0, count: records.countsOfOwn)
    for (node, rows) in own.enumerated() {
      let stop = end == Int.max ? rows.count : rows.firstIndex(from: end)
      guard let ownership else {
        counts[node] = Int32(stop - sentRows[node])
        continue
      }
      for index in sentRows[node]..<stop {
        counts[ownership.owner(ofRow: Int(rows.ids[index])) * nodeCount + node] += 1
      }
    }
    let blocks = records.countsOfOwn / nodeCount
    sendLayout.fill { block in
      block < blocks ? (0..<nodeCount).reduce(0) { $0 + Int(counts[block * nodeCount + $1]) } * (width + 1) : 0
    }
    sendBuffer.resize(sendLayout.total)
    for block in 0..<blocks {
      var place = Int(sendLayout.offsets[block])
      for node in 0..<nodeCount {
        records.places[block * nodeCount + node] = place
        place += Int(counts[block * nodeCount + node]) * (width + 1)
      }
    }
    for (node, rows) in own.enumerated() {
      let stop = end == Int.max ? rows.count : rows.firstIndex(from: end)
      for index in sentRows[node]..<stop {
        let block = ownership?.owner(ofRow: Int(rows.ids[index])) ?? 0
        let place = sendBuffer.base + records.places[block * nodeCount + node]
        UnsafeMutableRawPointer(place).storeBytes(of: rows.ids[index], as: Int32.self)
        (place + 1).update(from: rows.values + index * width, count: width)
        records.places[block * nodeCount + node] += width + 1
      }
      sentRows[node] = stop
    }
  }

  /// What has come, as a list per node.
  private func unpack() {
    sums.removeAll(keepingCapacity: true)
    var place = receiveBuffer.base
    for rank in nodes.indices {
      for index in nodes[rank].indices {
        let rows = ofOthers[sums.count]
        rows.resize(Int(records.counts[rank * nodeCount + index]))
        for row in 0..<rows.count {
          rows.ids[row] = UnsafeRawPointer(place).load(as: Int32.self)
          (rows.values + row * width).update(from: place + 1, count: width)
          place += width + 1
        }
        sums.append(rows)
      }
    }
  }
}

/// What ranks tell each other about a round.
private final class ReductionRecords {
  /// Where the round may end, for this rank and for each (ranks).
  let ownEnd: UnsafeMutablePointer<Int64>
  let ends: UnsafeMutablePointer<Int64>
  /// Rows that go to each rank from each of this rank's nodes (ranks, nodes), and come from each rank's (ranks, nodes).
  let ownCounts: UnsafeMutablePointer<Int32>
  let counts: UnsafeMutablePointer<Int32>
  /// Where in the buffer of what is sent the next row goes (ranks, nodes).
  let places: UnsafeMutablePointer<Int>
  let countsOfOwn: Int
  let layout: BlockLayout

  init(size: Int, nodeCount: Int) {
    countsOfOwn = size * nodeCount
    layout = BlockLayout(counts: [Int](repeating: nodeCount, count: size))
    ownEnd = .allocate(capacity: 1)
    ends = .allocate(capacity: size)
    ownCounts = .allocate(capacity: countsOfOwn)
    counts = .allocate(capacity: countsOfOwn)
    places = .allocate(capacity: countsOfOwn)
    ownEnd.initialize(to: 0)
    ends.initialize(repeating: 0, count: size)
    ownCounts.initialize(repeating: 0, count: countsOfOwn)
    counts.initialize(repeating: 0, count: countsOfOwn)
    places.initialize(repeating: 0, count: countsOfOwn)
  }

  deinit {
    ownEnd.deallocate()
    ends.deallocate()
    ownCounts.deallocate()
    counts.deallocate()
    places.deallocate()
  }
}
