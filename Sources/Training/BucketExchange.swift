import BERT4RecModel
import Communication
import GradientSum
import SystemSupport
import TableSharding

/// The loss `sce` over a sharded table: each rank looks among its own items for the hardest ones of all ranks' buckets.
///
/// Letters: n buckets of a block of instances, H hidden. A step: every rank gets the vectors of all buckets; for some blocks at a time each
/// rank finds its own items, and who has the block takes the best of all ranks, which are those that one rank with the whole table would
/// have found (`BucketSearch`). Their rows are then fetched as those of tokens and labels are.
final class BucketExchange: @unchecked Sendable {
  private(set) var plan: LossPlan
  /// Blocks whose items are looked for together.
  private(set) var groups: [Range<Int>] = []
  /// Bytes that this rank has sent to others so far.
  private(set) var sentBytes = 0

  private let communicator: any Communicator
  private let ownership: RowOwnership
  private let loss: LossConfiguration
  private let hidden: Int
  private let parameters: UnsafePointer<Float>
  /// Most items that each rank finds for a bucket (ranks).
  private let itemCounts: [Int]
  /// One per thread, and their memory.
  private let searches: [BucketSearch]
  private let workspaces: [Workspace]
  /// Of each block the buckets before it, and of all at the end.
  private var bucketsBefore: [Int] = []
  /// Of each block the vectors (n, H) and their weights (n): this rank's, and all.
  private let ownVectors = GrowingBuffer<Float>(for: purpose)
  private let allVectors = GrowingBuffer<Float>(for: purpose)
  /// Of each bucket of a group the items and their scores (n, items): what this rank has found, and what all have for its own blocks.
  private let found = (items: GrowingBuffer<Int32>(for: purpose), scores: GrowingBuffer<Float>(for: purpose))
  private let received = (items: GrowingBuffer<Int32>(for: purpose), scores: GrowingBuffer<Float>(for: purpose))
  private var layouts: (vectors: BlockLayout, send: BlockLayout, receive: BlockLayout)
  /// The group at hand.
  private(set) var group = 0..<0

  private static let purpose = "the buckets of all ranks"

  /// Items of a group's buckets over all ranks at most, but for a single block: 16 MiB with their scores.
  private static let groupElements = 1 << 21

  init(
    _ state: ModelState, _ table: ShardedTable, _ loss: LossConfiguration, communicator: any Communicator, shardCount: Int,
    backend: BackendChoice, longestInstance: Int, threads: Int
  ) {
    let (configuration, ownership) = (state.configuration, table.ownership)
    self.communicator = communicator
    self.ownership = ownership
    self.loss = loss
    hidden = configuration.hiddenSize
    parameters = UnsafePointer(state.parameters.start)
    let items = Self.itemCounts(loss, ownership)
    itemCounts = items
    let buckets = BucketLoss.bucketCount(loss, rows: max(BidirectionalEncoder.blockRows, longestInstance))
    let workspaces = (0..<threads).map { _ in Workspace() }
    self.workspaces = workspaces
    searches = workspaces.map {
      BucketSearch(configuration, backend.makeBackend(), $0, buckets: buckets, items: items.max() ?? 0)
    }
    plan = LossPlan(shards: shardCount, ranks: communicator.size, hidden: hidden)
    let layout = BlockLayout(blocks: communicator.size)
    layouts = (layout, layout, layout)
  }

  private static func itemCounts(_ loss: LossConfiguration, _ ownership: RowOwnership) -> [Int] {
    (0..<ownership.size).map { min(loss.bucketItems, ownership.rowCount(of: $0)) }
  }

  /// Bytes of a rank besides the encoders, at most.
  /// - Parameters:
  ///   - rows: most masked rows of a block.
  ///   - blocks: of all ranks.
  static func byteCount(
    _ loss: LossConfiguration, _ ownership: RowOwnership, hidden: Int, rows: Int, blocks: Int, threads: Int
  ) -> Double {
    let buckets = Double(BucketLoss.bucketCount(loss, rows: rows))
    let items = Double(itemCounts(loss, ownership).reduce(0, +))
    let search = buckets * Double(BucketSearch.tileWidth + 2 * loss.bucketItems)
    return 4 * (2 * buckets * Double(blocks * (hidden + 1)) + 4 * max(Double(groupElements), buckets * items) + search * Double(threads))
  }

  private var rank: Int { communicator.rank }

  private func buckets(ofBlocks blocks: Range<Int>) -> Int { bucketsBefore[blocks.upperBound] - bucketsBefore[blocks.lowerBound] }

  private func buckets(ofBlock block: Int) -> Int { buckets(ofBlocks: block..<block + 1) }

  // MARK: - Vectors to all ranks

  func begin(_ shards: GradientShards) {
    plan.fill(shards)
    bucketsBefore.removeAll(keepingCapacity: true)
    groups.removeAll(keepingCapacity: true)
    var total = 0
    for block in plan.blocks {
      bucketsBefore.append(total)
      if !block.rows.isEmpty { total += BucketLoss.bucketCount(loss, rows: block.rows.count) }
    }
    bucketsBefore.append(total)
    let items = itemCounts.reduce(0, +)
    var first = 0
    for block in plan.blocks.indices {
      let isLast = block + 1 == plan.blocks.count
      if !isLast && buckets(ofBlocks: first..<block + 2) * items <= Self.groupElements { continue }
      groups.append(first..<block + 1)
      first = block + 1
    }
    ownVectors.resize(max(1, buckets(ofBlocks: plan.blocksOfRank[rank]) * (hidden + 1)))
  }

  /// Leaves the vectors of a block of this rank, whose buckets have their rows.
  func put(_ buckets: BucketLoss, ofBlock number: Int) {
    let (vectors, count) = (buckets.vectors, buckets.bucketCount)
    precondition(count == self.buckets(ofBlock: number), "buckets that were planned otherwise")
    let place = ownVectors.base + (bucketsBefore[number] - bucketsBefore[plan.blocksOfRank[rank].lowerBound]) * (hidden + 1)
    place.update(from: vectors.base, count: count * hidden)
    (place + count * hidden).update(from: buckets.weights, count: count)
  }

  /// Collective. The vectors of all ranks' buckets, once all blocks have left theirs.
  func gatherVectors() throws(CollectiveFailure) {
    layouts.vectors.fill { buckets(ofBlocks: plan.blocksOfRank[$0]) * (hidden + 1) }
    allVectors.resize(max(1, layouts.vectors.total))
    try communicator.allGatherBlocks(ownVectors.base, into: allVectors.base, layouts.vectors)
    sentBytes += Int(layouts.vectors.counts[rank]) * 4 * (communicator.size - 1)
  }

  // MARK: - Items to the blocks' ranks

  /// Begins with some blocks (`groups`).
  func begin(group: Range<Int>) {
    self.group = group
    let count = max(1, buckets(ofBlocks: group) * itemCounts[rank])
    found.items.resize(count)
    found.scores.resize(count)
  }

  /// A thread's part of the group's blocks: the best of this rank's items for each of their buckets.
  func search(_ thread: Int) {
    let (search, most) = (searches[thread], itemCounts[rank])
    if most == 0 { return }
    for number in group where number % searches.count == thread {
      let count = buckets(ofBlock: number)
      if count == 0 { continue }
      let vectors = allVectors.base + bucketsBefore[number] * (hidden + 1)
      search.begin(buckets: count, items: most)
      for block in ownership.blocks(of: rank) {
        search.search(
          ownership.rows(ofBlock: block), centers: Matrix(vectors, count, hidden), weights: vectors + count * hidden,
          parameters: parameters)
      }
      search.end()
      let first = bucketsBefore[number] - bucketsBefore[group.lowerBound]
      for bucket in 0..<count {
        let (items, scores) = search.found(bucket)
        let place = (first + bucket) * most
        for index in 0..<most { (found.items.base[place + index], found.scores.base[place + index]) = (items[index], scores[index]) }
      }
    }
  }

  /// Collective. What all ranks have found for this rank's blocks of the group.
  func exchangeItems() throws(CollectiveFailure) {
    layouts.send.fill { buckets(ofBlocks: ofGroup($0)) * itemCounts[rank] }
    let own = buckets(ofBlocks: ofGroup(rank))
    layouts.receive.fill { own * itemCounts[$0] }
    received.items.resize(max(1, layouts.receive.total))
    received.scores.resize(max(1, layouts.receive.total))
    try communicator.exchange(found.items.base, layouts.send, into: received.items.base, layouts.receive)
    try communicator.exchange(found.scores.base, layouts.send, into: received.scores.base, layouts.receive)
    try requireOwnItems()
    sentBytes += (layouts.send.total - Int(layouts.send.counts[rank])) * 8
  }

  /// Who reads the items takes their ids for places in a table.
  private func requireOwnItems() throws(CollectiveFailure) {
    for other in itemCounts.indices {
      for place in layouts.receive[other] {
        let item = Int(received.items.base[place])
        guard item >= 0 && item < ownership.rowCount && ownership.owner(ofRow: item) == other else {
          throw CollectiveFailure(MessageReader.damage, reach: .thisRank)
        }
      }
    }
  }

  /// Blocks of the group that a rank has.
  private func ofGroup(_ rank: Int) -> Range<Int> { plan.blocksOfRank[rank].clamped(to: group) }

  /// Fills the buckets of a block of this rank that is in the group.
  func fill(_ buckets: BucketLoss, ofBlock number: Int) {
    let first = bucketsBefore[number] - bucketsBefore[ofGroup(rank).lowerBound]
    for bucket in 0..<buckets.bucketCount {
      for other in itemCounts.indices {
        let start = Int(layouts.receive.offsets[other]) + (first + bucket) * itemCounts[other]
        for place in start..<start + itemCounts[other] {
          buckets.search.take(received.items.base[place], score: received.scores.base[place], into: bucket)
        }
      }
    }
    buckets.search.end()
  }
}
