/// The sum of one tree node's shards, in a buffer that belongs to the accumulator that made it.
public struct PartialSum: @unchecked Sendable {
  public let node: TreeNode
  public let values: UnsafeMutableBufferPointer<Float>

  public init(node: TreeNode, values: UnsafeMutableBufferPointer<Float>) {
    self.node = node
    self.values = values
  }
}

/// Sums the gradients of a contiguous range of shards, shard after shard, in the order of the tree.
///
/// A step: `reset()`; then for each shard in ascending order `nextBuffer()`, fill it, `add(shard:_:)`; then `sums`. A
/// shard without instances is added as well, as the zeros that it got. Complete pairs are added at once, as in a binary
/// counter, so there are at most 2 log2(shards) + 1 buffers; they are made when first needed, by the thread that will
/// use them, and kept for later steps. One thread at a time may use an accumulator.
public final class ShardAccumulator: @unchecked Sendable {
  public let shards: Range<Int>
  /// Elements of a buffer.
  public let length: Int
  /// The sums of the maximal nodes of the shards added so far, in ascending order; valid until `reset()`.
  public private(set) var sums: [PartialSum] = []

  private var buffers: [UnsafeMutableBufferPointer<Float>] = []
  private var free: [UnsafeMutableBufferPointer<Float>] = []
  private var nextShard: Int

  public init(shards: Range<Int>, length: Int) {
    self.shards = shards
    self.length = length
    nextShard = shards.lowerBound
  }

  deinit { for buffer in buffers { buffer.baseAddress.map { UnsafeMutableRawPointer($0).deallocate() } } }

  /// How many buffers exist; their memory is `length * 4` bytes each.
  public var bufferCount: Int { buffers.count }

  public var isComplete: Bool { nextShard == shards.upperBound }

  /// Begins a new step; what `sums` held is no longer valid.
  public func reset() {
    sums.removeAll(keepingCapacity: true)
    free.removeAll(keepingCapacity: true)
    free.append(contentsOf: buffers)
    nextShard = shards.lowerBound
  }

  /// A buffer of `length` numbers for the next shard: zeros, to add its gradient into, or anything, to be overwritten.
  public func nextBuffer(zeroed: Bool = true) -> UnsafeMutableBufferPointer<Float> {
    let buffer = free.popLast() ?? makeBuffer()
    if zeroed { buffer.update(repeating: 0) }
    return buffer
  }

  /// Takes the buffer that `nextBuffer()` gave, with the gradient of `shard` in it.
  public func add(shard: Int, _ buffer: UnsafeMutableBufferPointer<Float>) {
    precondition(shard == nextShard && shards.contains(shard), "shards come in ascending order, each once")
    precondition(buffer.count == length)
    nextShard += 1
    var sum = PartialSum(node: TreeNode(level: 0, index: shard), values: buffer)
    while let left = sums.last, left.node.isLeftSibling(of: sum.node) {
      if let from = sum.values.baseAddress, let into = left.values.baseAddress {
        Collectives.add(from, into: into, count: length)
      }
      sums.removeLast()
      free.append(sum.values)
      sum = PartialSum(node: left.node.parent, values: left.values)
    }
    sums.append(sum)
  }

  private func makeBuffer() -> UnsafeMutableBufferPointer<Float> {
    // On a cache line, as the vector kernels like it.
    let capacity = max(length, 1)
    let memory = UnsafeMutableRawPointer.allocate(byteCount: capacity * MemoryLayout<Float>.stride, alignment: 64)
    let buffer = UnsafeMutableBufferPointer(start: memory.bindMemory(to: Float.self, capacity: capacity), count: length)
    buffers.append(buffer)
    return buffer
  }
}
