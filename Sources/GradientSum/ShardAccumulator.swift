import SystemSupport

/// The sum of one tree node's shards, in a buffer that belongs to the accumulator that made it.
package struct PartialSum: @unchecked Sendable {
  package let node: TreeNode
  package let values: UnsafeMutableBufferPointer<Float>

  package init(node: TreeNode, values: UnsafeMutableBufferPointer<Float>) {
    self.node = node
    self.values = values
  }
}

/// Sums the gradients of a contiguous range of shards, shard after shard, in the order of the tree.
///
/// A step: `reset()`; then for each shard in ascending order `nextBuffer()`, fill it, `add(shard:_:)`; then `sums`. A
/// shard without instances is added as well, as the zeros that it got. Complete pairs are added at once, as in a binary
/// counter, so there are at most 2 log2(shards) + 1 buffers; their pages come into being when they are first touched, by
/// the thread that uses them. One thread at a time may use an accumulator.
package final class ShardAccumulator: @unchecked Sendable {
  package let shards: Range<Int>
  /// Elements of a buffer.
  package let length: Int
  /// The sums of the maximal nodes of the shards added so far, in ascending order; valid until `reset()`.
  package private(set) var sums: [PartialSum] = []

  private let memory: AlignedMemory
  private let buffers: [UnsafeMutableBufferPointer<Float>]
  private var free: [UnsafeMutableBufferPointer<Float>]
  private var nextShard: Int

  package init(shards: Range<Int>, length: Int) throws(ProgramFailure) {
    self.shards = shards
    self.length = length
    nextShard = shards.lowerBound
    let memory = try AlignedMemory(byteCount: Self.byteCount(shards: shards, length: length), for: "the gradients")
    self.memory = memory
    buffers = (0..<Self.bufferCount(shards: shards)).map { index in
      let start = memory.base + index * Self.stride(length)
      return UnsafeMutableBufferPointer(start: start.bindMemory(to: Float.self, capacity: length), count: length)
    }
    free = buffers.reversed()
  }

  /// How many buffers a range of shards needs: while one is being filled, those that hold the sums of the shards before it.
  package static func bufferCount(shards: Range<Int>) -> Int {
    shards.reduce(0) { max($0, ShardTree.maximalNodes(of: shards.lowerBound..<$1).count + 1) }
  }

  /// The memory of its buffers.
  package static func byteCount(shards: Range<Int>, length: Int) -> Int { bufferCount(shards: shards) * stride(length) }

  /// Bytes from a buffer to the next, in whole cache lines, as the vector kernels like it.
  private static func stride(_ length: Int) -> Int { (length * MemoryLayout<Float>.stride + 63) / 64 * 64 }

  /// Most buffers that were in use at a time.
  package private(set) var usedBufferCount = 0

  package var isComplete: Bool { nextShard == shards.upperBound }

  /// Begins a new step; what `sums` held is no longer valid.
  package func reset() {
    sums.removeAll(keepingCapacity: true)
    free.removeAll(keepingCapacity: true)
    free.append(contentsOf: buffers.reversed())
    nextShard = shards.lowerBound
  }

  /// A buffer of `length` numbers for the next shard: zeros, to add its gradient into, or anything, to be overwritten.
  package func nextBuffer(zeroed: Bool = true) -> UnsafeMutableBufferPointer<Float> {
    guard let buffer = free.popLast() else { preconditionFailure("a buffer for each shard, and no more") }
    usedBufferCount = max(usedBufferCount, buffers.count - free.count)
    if zeroed { buffer.update(repeating: 0) }
    return buffer
  }

  /// Takes the buffer that `nextBuffer()` gave, with the gradient of `shard` in it.
  package func add(shard: Int, _ buffer: UnsafeMutableBufferPointer<Float>) {
    precondition(shard == nextShard && shards.contains(shard), "shards come in ascending order, each once")
    precondition(buffer.count == length)
    nextShard += 1
    var sum = PartialSum(node: TreeNode(level: 0, index: shard), values: buffer)
    while let left = sums.last, left.node.isLeftSibling(of: sum.node) {
      if let from = sum.values.baseAddress, let into = left.values.baseAddress {
        GradientSum.add(from, into: into, count: length)
      }
      sums.removeLast()
      free.append(sum.values)
      sum = PartialSum(node: left.node.parent, values: left.values)
    }
    sums.append(sum)
  }

  /// The sum of all shards of the tree, which were added here, each once: what is left is added from the right. Valid until `reset()`.
  package func sumOfTree() -> UnsafeMutableBufferPointer<Float> {
    precondition(isComplete && shards.lowerBound == 0 && !sums.isEmpty)
    while sums.count > 1 {
      let right = sums.removeLast()
      free.append(right.values)
      if let from = right.values.baseAddress, let into = sums[sums.count - 1].values.baseAddress {
        GradientSum.add(from, into: into, count: length)
      }
    }
    return sums[0].values
  }
}
