import SystemSupport

/// Some rows of a table, ascending, each with a vector of `width` numbers: a gradient that is zero in all other rows.
///
/// Its memory grows to what was needed most and is kept. One thread at a time may use it.
package final class RowList: @unchecked Sendable {
  package let width: Int
  /// Rows.
  package private(set) var count = 0
  private var memory: Memory
  private var capacity = 0

  private final class Memory {
    let ids: AlignedBuffer<Int32>
    let values: AlignedBuffer<Float>

    init(capacity: Int, width: Int) {
      ids = .orEnd(count: capacity, for: "the gradients of rows")
      values = .orEnd(count: capacity * width, for: "the gradients of rows")
    }
  }

  package init(width: Int) {
    self.width = width
    memory = Memory(capacity: 0, width: width)
  }

  /// (count), ascending, each once.
  package var ids: UnsafeMutablePointer<Int32> { memory.ids.base }
  /// (count, width)
  package var values: UnsafeMutablePointer<Float> { memory.values.base }

  /// Bytes of so many rows.
  package static func byteCount(rows: Int, width: Int) -> Int { rows * (width + 1) * 4 }

  /// Becomes a list of `count` rows, whose ids and values are to be written. What was there is lost.
  package func resize(_ count: Int) {
    if count > capacity {
      capacity = max(count, capacity + capacity / 2)
      // The old one first: the two together may not fit.
      memory = Memory(capacity: 0, width: width)
      memory = Memory(capacity: capacity, width: width)
    }
    self.count = count
  }

  /// Takes the rows of another list behind its own, which are below them.
  package func append(_ other: RowList) {
    precondition(other.width == width && other !== self)
    if count + other.count > capacity {
      let (old, oldCount) = (memory, count)
      capacity = max(count + other.count, capacity + capacity / 2)
      memory = Memory(capacity: capacity, width: width)
      ids.update(from: old.ids.base, count: oldCount)
      values.update(from: old.values.base, count: oldCount * width)
    }
    (ids + count).update(from: other.ids, count: other.count)
    (values + count * width).update(from: other.values, count: other.count * width)
    count += other.count
  }

  /// Becomes left + right, which are other lists.
  package func setSum(_ left: RowList, _ right: RowList) {
    precondition(left.width == width && right.width == width && left !== self && right !== self)
    resize(left.count + right.count)
    let (ids, values, leftIDs, rightIDs) = (ids, values, left.ids, right.ids)
    var (i, j, next) = (0, 0, 0)
    while i < left.count || j < right.count {
      let takesLeft = j == right.count || (i < left.count && leftIDs[i] <= rightIDs[j])
      let target = values + next * width
      ids[next] = takesLeft ? leftIDs[i] : rightIDs[j]
      if takesLeft {
        target.update(from: left.values + i * width, count: width)
        i += 1
        if j < right.count && rightIDs[j] == ids[next] {
          add(right.values + j * width, into: target, count: width)
          j += 1
        }
      } else {
        target.update(from: right.values + j * width, count: width)
        j += 1
      }
      next += 1
    }
    count = next
  }

  /// The place of the first row that is not below `id`.
  package func firstIndex(from id: Int) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if Int(ids[middle]) < id { low = middle + 1 } else { high = middle }
    }
    return low
  }
}

/// The rows of one tree node's shards, in a list that belongs to whoever made it.
package struct RowSum: @unchecked Sendable {
  package let node: TreeNode
  package let rows: RowList
}

/// Sums the rows of a contiguous range of shards, shard after shard, in the order of the tree: what `ShardAccumulator` is for whole
/// buffers.
package final class RowAccumulator: @unchecked Sendable {
  package let shards: Range<Int>
  package private(set) var sums: [RowSum] = []
  private var free: [RowList]
  private let lists: [RowList]
  private var nextShard: Int

  package init(shards: Range<Int>, width: Int) {
    self.shards = shards
    nextShard = shards.lowerBound
    // One more than buffers: a sum is made beside its parts.
    lists = (0...ShardAccumulator.bufferCount(shards: shards)).map { _ in RowList(width: width) }
    free = lists
  }

  /// Lists of a range of shards.
  package static func listCount(shards: Range<Int>) -> Int { ShardAccumulator.bufferCount(shards: shards) + 1 }

  package var isComplete: Bool { nextShard == shards.upperBound }

  /// Begins a new step; what `sums` held is no longer valid.
  package func reset() {
    sums.removeAll(keepingCapacity: true)
    free.removeAll(keepingCapacity: true)
    free.append(contentsOf: lists)
    nextShard = shards.lowerBound
  }

  /// A list for the next shard.
  package func nextList() -> RowList {
    guard let list = free.popLast() else { preconditionFailure("a list for each shard, and no more") }
    return list
  }

  /// Takes the list that `nextList()` gave, with the rows of `shard` in it.
  package func add(shard: Int, _ rows: RowList) {
    precondition(shard == nextShard && shards.contains(shard), "shards come in ascending order, each once")
    nextShard += 1
    var sum = RowSum(node: TreeNode(level: 0, index: shard), rows: rows)
    while let left = sums.last, left.node.isLeftSibling(of: sum.node) {
      let both = nextList()
      both.setSum(left.rows, sum.rows)
      sums.removeLast()
      free.append(left.rows)
      free.append(sum.rows)
      sum = RowSum(node: left.node.parent, rows: both)
    }
    sums.append(sum)
  }
}
