import Communication
import SystemSupport

/// The tree's sum over ranks where MPI only moves bytes and the additions are ours.
///
/// The buffer is cut into segments, and each segment into one range a rank. For a segment, every rank sends its nodes'
/// sums of a range to the range's owner, who adds them in the order of the tree; then every rank gets all ranges.
/// Scratch memory is bounded by the segment: (own nodes + all ranks' nodes / ranks) segments.
final class MovedBytesReduction {
  /// Of one length of segment: n elements, cut into a range a rank.
  private struct Segment {
    let length: Int
    /// (rank) what each rank owns.
    let ranges: BlockLayout
    /// What goes to each rank, (own nodes, its range), and what comes from each, (its nodes, own range).
    let send: BlockLayout
    let receive: BlockLayout
  }

  /// The nodes that this rank brings to `reduce`.
  let ownNodes: [TreeNode]

  private let communicator: any Communicator
  private let schedule: TreeSchedule
  private let whole: Segment
  private let last: Segment
  private let length: Int
  private let memory: AlignedMemory
  private let sendBuffer: UnsafeMutablePointer<Float>
  private let receiveBuffer: UnsafeMutablePointer<Float>

  /// Sends nothing. `length`: elements of the buffers. Every rank has at least one of the `shardCount` shards.
  init(communicator: any Communicator, shardCount: Int, length: Int, segmentLength: Int) throws(ProgramFailure) {
    precondition(shardCount >= communicator.size && segmentLength > 0)
    let nodes = Self.nodes(size: communicator.size, shardCount: shardCount)
    self.communicator = communicator
    self.length = length
    ownNodes = nodes[communicator.rank]
    // Ranks own ascending shards, so what comes from them, in rank order, are all nodes of the tree in ascending order.
    schedule = TreeSchedule(summing: nodes.flatMap { $0 })
    (whole, last) = Self.segments(rank: communicator.rank, nodes: nodes, length: length, segmentLength: segmentLength)
    let counts = Self.counts(whole, last)
    memory = try AlignedMemory(
      byteCount: (counts.send + counts.receive) * MemoryLayout<Float>.stride, for: "the gradients' exchange")
    sendBuffer = memory.base.bindMemory(to: Float.self, capacity: counts.send + counts.receive)
    receiveBuffer = sendBuffer + counts.send
  }

  /// Bytes of its two buffers.
  static func byteCount(rank: Int, size: Int, shardCount: Int, length: Int, segmentLength: Int) -> Int {
    let nodes = nodes(size: size, shardCount: shardCount)
    let (whole, last) = segments(rank: rank, nodes: nodes, length: length, segmentLength: segmentLength)
    let counts = counts(whole, last)
    return (counts.send + counts.receive) * MemoryLayout<Float>.stride
  }

  /// What each rank brings.
  private static func nodes(size: Int, shardCount: Int) -> [[TreeNode]] {
    (0..<size).map { ShardTree.maximalNodes(of: ShardTree.range(part: $0, of: size, in: 0..<shardCount)) }
  }

  private static func segments(
    rank: Int, nodes: [[TreeNode]], length: Int, segmentLength: Int
  ) -> (whole: Segment, last: Segment) {
    func segment(_ length: Int) -> Segment {
      let ranges = nodes.indices.map { ShardTree.range(part: $0, of: nodes.count, in: 0..<length).count }
      return Segment(
        length: length, ranges: BlockLayout(counts: ranges),
        send: BlockLayout(counts: ranges.map { $0 * nodes[rank].count }),
        receive: BlockLayout(counts: nodes.map { $0.count * ranges[rank] }))
    }
    let whole = segment(min(segmentLength, length))
    return (whole, segment(length % max(whole.length, 1)))
  }

  /// Elements of the buffers; the one to send is cut off on a cache line.
  private static func counts(_ whole: Segment, _ last: Segment) -> (send: Int, receive: Int) {
    ((whole.send.total + 15) / 16 * 16, max(whole.receive.total, last.receive.total, 1))
  }

  var segmentLength: Int { whole.length }

  /// Sums into `result`, which may be the buffer of one of the sums. Allocates nothing.
  func reduce(_ sums: [PartialSum], into result: UnsafeMutableBufferPointer<Float>) throws(CollectiveFailure) {
    guard let target = result.baseAddress else { return }
    var start = 0
    while start < length {
      let count = min(whole.length, length - start)
      try reduceSegment(sums, from: start, count: count, into: target + start)
      start += count
    }
  }

  /// Sums elements `start ..< start + count` of `sums` into `count` elements at `result`. `count` is that of a whole
  /// segment or of the last one.
  func reduceSegment(
    _ sums: [PartialSum], from start: Int, count: Int, into result: UnsafeMutablePointer<Float>
  ) throws(CollectiveFailure) {
    precondition(sums.count == ownNodes.count && (count == whole.length || count == last.length))
    let segment = count == whole.length ? whole : last
    var next = sendBuffer
    for (offset, rangeCount) in zip(segment.ranges.offsets, segment.ranges.counts) {
      for sum in sums {
        guard let values = sum.values.baseAddress else { continue }
        next.update(from: values + start + Int(offset), count: Int(rangeCount))
        next += Int(rangeCount)
      }
    }
    try communicator.exchange(sendBuffer, segment.send, into: receiveBuffer, segment.receive)
    let own = Int(segment.ranges.counts[communicator.rank])
    for addition in schedule.additions {
      add(receiveBuffer + addition.from * own, into: receiveBuffer + addition.into * own, count: own)
    }
    try communicator.allGatherBlocks(receiveBuffer, into: result, segment.ranges)
  }
}
