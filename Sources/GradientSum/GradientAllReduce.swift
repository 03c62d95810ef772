import Communication
import Glibc
import SystemSupport

/// How gradients are summed over the ranks: the setting `reduction`.
public enum ReductionMode: String, Sendable, CaseIterable {
  /// In the order of the tree: the same bits on any number of ranks.
  case exact
  /// In the order that MPI_Allreduce likes: the same result up to rounding.
  case fast
}

/// Sums the gradients of all shards of all ranks, so that every rank has the sum.
///
/// With `exact` it is the sum of the tree (`TreeNode`), bit for bit. MPI_Allreduce often adds in just that order, but
/// no standard says so. It is used where a trial at the start, with a vector of exactly the gradient's length whose sum depends on
/// the order, gives the tree's bits on every rank; otherwise the same sum is made by `MovedBytesReduction`.
/// `methodDescription` says which, and why.
package final class GradientAllReduce {
  package let methodDescription: String

  private enum Method {
    case alone, allreduce
    case movedBytes(MovedBytesReduction)
  }
  private let method: Method
  private let communicator: any Communicator
  private let length: Int
  /// What this rank brings.
  private let ownNodes: [TreeNode]
  /// How `allreduce` and `alone` put this rank's nodes together.
  private let schedule: TreeSchedule

  /// 4 MiB of float32: long enough for a network's full rate, and little beside the gradients.
  package static let segmentLength = 1 << 20

  /// Collective.
  /// - Parameters:
  ///   - shardCount: G, the setting `gradient_shards`. Fewer shards than ranks are refused (exit code 64).
  ///   - length: elements of the gradient buffer.
  ///   - scratch: `length` elements that the trial may overwrite (the gradient buffer itself, before the first step).
  ///   - segmentLength: elements that are moved at a time where MPI_Allreduce is not used.
  package init(
    communicator: any Communicator, shardCount: Int, length: Int, mode: ReductionMode,
    scratch: UnsafeMutableBufferPointer<Float>, segmentLength: Int = GradientAllReduce.segmentLength
  ) throws(CollectiveFailure) {
    precondition(scratch.count == length)
    let (rank, size) = (communicator.rank, communicator.size)
    try Self.requireShardPerRank(shardCount: shardCount, size: size)
    self.communicator = communicator
    self.length = length
    ownNodes = ShardTree.maximalNodes(of: ShardTree.range(part: rank, of: size, in: 0..<shardCount))
    schedule = TreeSchedule(summing: ownNodes)

    if size == 1 {
      method = .alone
      methodDescription = "one rank, nothing to send"
      return
    }
    if mode == .fast {
      method = .allreduce
      methodDescription = "MPI_Allreduce, in whatever order (reduction: fast)"
      return
    }
    let moved = try communicator.onEveryRank { () throws(ProgramFailure) in
      try MovedBytesReduction(
        communicator: communicator, shardCount: shardCount, length: length, segmentLength: segmentLength)
    }
    let share = shardCount / size
    if shardCount % size != 0 || share & (share - 1) != 0 {
      method = .movedBytes(moved)
      methodDescription =
        "tree by moved bytes (\(shardCount) gradient shards on \(size) ranks: not one whole subtree per rank)"
    } else if try Self.allreduceAddsAsTree(communicator, moved, scratch) {
      method = .allreduce
      methodDescription = "MPI_Allreduce (found to add in the order of the tree)"
    } else {
      method = .movedBytes(moved)
      methodDescription = "tree by moved bytes (MPI_Allreduce adds in another order here)"
    }
  }

  /// Refuses fewer shards than ranks (exit code 64).
  package static func requireShardPerRank(shardCount: Int, size: Int) throws(CollectiveFailure) {
    guard shardCount < size else { return }
    throw .onEveryRank(
      .usage,
      """
      gradient_shards is \(shardCount), but there are \(size) ranks: each needs a shard; start at most \
      \(shardCount) ranks, or begin a new run with gradient_shards=\(size) or more (results depend on \
      gradient_shards, not on the number of ranks)
      """)
  }

  /// What it takes on a rank at most, in bytes, with what MPI_Allreduce may take: a copy of what it sums.
  package static func byteCount(
    rank: Int, size: Int, shardCount: Int, length: Int, mode: ReductionMode, segmentLength: Int = segmentLength
  ) -> Int {
    guard size > 1, shardCount >= size else { return 0 }
    let copy = min(length, MPICommunicator.longestMessage) * MemoryLayout<Float>.stride
    if mode == .fast { return copy }
    return copy + min(length, segmentLength) * MemoryLayout<Float>.stride
      + MovedBytesReduction.byteCount(
        rank: rank, size: size, shardCount: shardCount, length: length, segmentLength: segmentLength)
  }

  /// Collective. `sums`: this rank's maximal nodes in ascending order, as an accumulator or `ThreadMerge` gives them;
  /// they may be overwritten. `result` gets the sum of all shards; it may be the buffer of the first of `sums`, which
  /// saves a copy. Allocates nothing.
  package func reduce(_ sums: [PartialSum], into result: UnsafeMutableBufferPointer<Float>) throws(CollectiveFailure) {
    precondition(result.count == length && sums.count == ownNodes.count)
    for (sum, node) in zip(sums, ownNodes) { precondition(sum.node == node && sum.values.count == length) }
    if case .movedBytes(let moved) = method {
      try moved.reduce(sums, into: result)
      return
    }
    guard let target = result.baseAddress, let first = sums[0].values.baseAddress else { return }
    for addition in schedule.additions {
      let (into, from) = (sums[addition.into].values.baseAddress, sums[addition.from].values.baseAddress)
      guard let into, let from else { continue }
      add(from, into: into, count: length)
    }
    if target != first { target.update(from: first, count: length) }
    if case .allreduce = method { try communicator.sumInAnyOrder(result) }
  }

  /// The trial: whether MPI_Allreduce gives the bits of the tree, on every rank. Each rank has one node.
  private static func allreduceAddsAsTree(
    _ communicator: any Communicator, _ moved: MovedBytesReduction, _ scratch: UnsafeMutableBufferPointer<Float>
  ) throws(CollectiveFailure) -> Bool {
    let length = scratch.count
    guard let summed = scratch.baseAddress, length > 0 else { return true }
    let memory = try communicator.onEveryRank { () throws(ProgramFailure) in
      try AlignedMemory(byteCount: moved.segmentLength * MemoryLayout<Float>.stride, for: "the trial of MPI_Allreduce")
    }
    let segment = memory.elements(Float.self)
    // The pointers in it do not keep the memory.
    defer { withExtendedLifetime(memory) {} }
    // The order may depend on the length, so the trial has exactly that length. A short vector could agree by chance: it is
    // tried often.
    let rounds = max(1, min(64, 16384 / length))
    var isEqual = true
    for round in 0..<rounds {
      let stream = round * communicator.size + communicator.rank
      OrderTest.fill(scratch, stream: stream)
      try communicator.sumInAnyOrder(scratch)
      var start = 0
      while start < length {
        let count = min(segment.count, length - start)
        let part = UnsafeMutableBufferPointer(rebasing: segment[..<count])
        OrderTest.fill(part, stream: stream, firstElement: start)
        guard let own = part.baseAddress else { break }
        try moved.reduceSegment([PartialSum(node: moved.ownNodes[0], values: part)], from: 0, count: count, into: own)
        if memcmp(own, summed + start, count * MemoryLayout<Float>.stride) != 0 { isEqual = false }
        start += count
      }
    }
    return try communicator.allGather(isEqual).allSatisfy { $0 }
  }
}
