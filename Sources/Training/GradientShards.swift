import BERT4RecModel
import Masking

/// How a step's global batch is cut into gradient shards: balanced by the cost formula in whole numbers, longest first into the
/// least loaded shard, ties by place in the batch and by shard number. Every rank computes the same cut for itself.
///
/// Refilled each step without allocating.
package struct GradientShards {
  package let shardCount: Int
  package let batchSize: Int
  /// The batch's instances by place.
  package private(set) var references: [MaskedInstances.Reference] = []
  /// Places of the instances, shard after shard; in a shard by descending cost.
  package private(set) var places: [Int] = []
  /// Shard s has `places[offsets[s] ..< offsets[s + 1]]`.
  package private(set) var offsets: [Int]
  /// Tokens and masked items of the whole batch.
  package private(set) var tokenCount = 0
  package private(set) var maskedCount = 0
  package private(set) var epoch = 0
  /// Of which this is the batch, counted from 0.
  package private(set) var step = 0

  private let instances: MaskedInstances
  private let cost: InstanceCost
  private var order: KeyedPermutation
  private var orderEpoch = 0
  private var keys: [UInt64] = []  // cost and place of each instance, as one sortable number
  private var loads: [UInt64]
  private var shardOf: [Int32]
  private var cursor: [Int]

  package init(_ instances: MaskedInstances, cost: InstanceCost, batchSize: Int, shardCount: Int) {
    precondition(shardCount > 0 && batchSize < 1 << 24)
    self.instances = instances
    self.cost = cost
    self.batchSize = batchSize
    self.shardCount = shardCount
    order = instances.order(epoch: 0)
    offsets = [Int](repeating: 0, count: shardCount + 1)
    loads = [UInt64](repeating: 0, count: shardCount)
    cursor = [Int](repeating: 0, count: shardCount)
    shardOf = [Int32](repeating: 0, count: batchSize)
    places = [Int](repeating: 0, count: batchSize)
    references.reserveCapacity(batchSize)
    keys.reserveCapacity(batchSize)
  }

  /// Cuts the batch of a step (counted from 0). Batches cross epochs.
  package mutating func fill(step: Int) {
    self.step = step
    references.removeAll(keepingCapacity: true)
    keys.removeAll(keepingCapacity: true)
    (tokenCount, maskedCount) = (0, 0)
    for place in 0..<batchSize {
      let position = step * batchSize + place
      epoch = position / instances.epochCount
      if epoch != orderEpoch {
        order = instances.order(epoch: epoch)
        orderEpoch = epoch
      }
      let reference = instances.reference(at: position, order: order)
      references.append(reference)
      tokenCount += reference.tokenCount
      maskedCount += reference.maskedCount
      // Descending cost, ascending place, as ascending numbers.
      let cost = cost(tokens: reference.tokenCount, masked: reference.maskedCount)
      keys.append((InstanceCost.limit - cost) << 24 | UInt64(place))
    }
    heapSort(&keys)
    for shard in 0..<shardCount { (loads[shard], cursor[shard]) = (0, 0) }
    for key in keys {
      var least = 0
      for shard in 1..<shardCount where loads[shard] < loads[least] { least = shard }
      loads[least] += InstanceCost.limit - key >> 24
      cursor[least] += 1
      shardOf[Int(key & 0xFF_FFFF)] = Int32(least)
    }
    var total = 0
    for shard in 0..<shardCount {
      offsets[shard] = total
      total += cursor[shard]
      cursor[shard] = offsets[shard]
    }
    offsets[shardCount] = total
    for key in keys {
      let place = Int(key & 0xFF_FFFF)
      let shard = Int(shardOf[place])
      places[cursor[shard]] = place
      cursor[shard] += 1
    }
  }

  /// Positions of the batch's instances in the run's stream.
  package var positions: Range<Int> { step * batchSize..<(step + 1) * batchSize }

  /// Indices of the users that a shard's instances are made of.
  package func users(shard: Int) -> [Int] {
    places[offsets[shard]..<offsets[shard + 1]].map { instances.user(of: references[$0]) }
  }

  /// Makes the instances of one shard.
  package func makeBatch(shard: Int, into batch: inout PackedBatch) {
    batch.removeAll()
    for index in offsets[shard]..<offsets[shard + 1] {
      instances.append(references[places[index]], place: places[index], to: &batch)
    }
  }
}

/// Sorts in place without the buffer that the standard library's sort takes.
private func heapSort(_ values: inout [UInt64]) {
  func sift(_ values: inout [UInt64], _ start: Int, _ end: Int) {
    var root = start
    while 2 * root + 1 < end {
      var child = 2 * root + 1
      if child + 1 < end && values[child] < values[child + 1] { child += 1 }
      if values[root] >= values[child] { return }
      values.swapAt(root, child)
      root = child
    }
  }
  for start in stride(from: values.count / 2 - 1, through: 0, by: -1) { sift(&values, start, values.count) }
  for end in stride(from: values.count - 1, to: 0, by: -1) {
    values.swapAt(0, end)
    sift(&values, 0, end)
  }
}
