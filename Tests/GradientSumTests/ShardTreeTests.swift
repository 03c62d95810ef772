import Communication
import GradientSum
import SystemSupport
import Testing

@Suite struct ShardTreeTests {
  @Test func partsAreContiguousAndEven() {
    #expect((0..<3).map { ShardTree.range(part: $0, of: 3, in: 0..<16) } == [0..<5, 5..<10, 10..<16])
    #expect((0..<4).map { ShardTree.range(part: $0, of: 4, in: 7..<10) } == [7..<7, 7..<8, 8..<9, 9..<10])
  }

  @Test func maximalNodesCoverARange() {
    #expect(
      ShardTree.maximalNodes(of: 5..<13) == [
        TreeNode(level: 0, index: 5), TreeNode(level: 1, index: 3), TreeNode(level: 2, index: 2),
        TreeNode(level: 0, index: 12),
      ])
    #expect(ShardTree.maximalNodes(of: 8..<16) == [TreeNode(level: 3, index: 1)])
    #expect(ShardTree.maximalNodes(of: 4..<4).isEmpty)
    for first in 0..<20 {
      for end in first...24 {
        let nodes = ShardTree.maximalNodes(of: first..<end)
        #expect(nodes.flatMap { Array($0.shards) } == Array(first..<end))
        #expect(nodes.count <= max(1, 2 * log2(max(1, end - first))))
      }
    }
  }

  /// The order is pinned: a change of it would change every result.
  @Test func pinnedOrder() throws {
    // 1 + tiny is 1: only in the tree's order do the four tiny ones meet first.
    let tiny: Float = 0x1p-24
    let values: [Float] = [1, 0, 0, 0, tiny, tiny, tiny, tiny]
    let accumulator = try ShardAccumulator(shards: 0..<8, length: 1)
    for shard in 0..<8 {
      let buffer = accumulator.nextBuffer()
      buffer[0] = values[shard]
      accumulator.add(shard: shard, buffer)
    }
    #expect(accumulator.sums.map(\.node) == [TreeNode(level: 3, index: 0)])
    #expect(accumulator.sums[0].values[0] == 1 + 4 * tiny)
  }

  @Test func orderTestDependsOnTheOrder() {
    let length = 4000
    let differing = (0..<length).count { element in
      let v = (0..<4).map { OrderTest.value(stream: $0, element: element) }
      return (v[0] + v[1]) + (v[2] + v[3]) != ((v[0] + v[1]) + v[2]) + v[3]
    }
    #expect(differing > length / 5)
    #expect((0..<length).allSatisfy { OrderTest.value(stream: 3, element: $0).isNormal })
  }

  /// Any number of shards and of threads: the same bits, in few buffers.
  @Test func accumulatorsOfAnyNumberOfThreadsGiveTheTree() throws {
    let length = 37
    for shardCount in Array(1...21) + [31, 32, 33, 48, 64, 100] {
      let expected = PlainTree.sum(shardCount: shardCount, length: length).map(\.bitPattern)
      for threads in [1, 2, 3, 4, 5, 7, 8] {
        let merge = ThreadMerge(
          try (0..<threads).map {
            try ShardAccumulator(shards: ShardTree.range(part: $0, of: threads, in: 0..<shardCount), length: length)
          })
        let result = UnsafeMutableBufferPointer<Float>.allocate(capacity: length)
        defer { result.deallocate() }
        let reduction = try GradientAllReduce(
          communicator: SoloCommunicator(), shardCount: shardCount, length: length, mode: .exact, scratch: result)
        // The second step reuses the first one's buffers.
        for _ in 0..<2 {
          for accumulator in merge.accumulators { fill(accumulator) }
          merge.prepare()
          merge.add(elements: 20..<length)
          merge.add(elements: 0..<20)
          #expect(merge.sums.map(\.node) == ShardTree.maximalNodes(of: 0..<shardCount))
          try reduction.reduce(merge.sums, into: result)
          #expect(result.map(\.bitPattern) == expected, "\(shardCount) shards, \(threads) threads")
        }
        for accumulator in merge.accumulators where !accumulator.shards.isEmpty {
          #expect(accumulator.usedBufferCount <= 2 * log2(accumulator.shards.count) + 1)
        }
      }
    }
  }

  @Test func theResultMayBeTheFirstSumsBuffer() throws {
    let accumulator = try ShardAccumulator(shards: 0..<7, length: 5)
    fill(accumulator)
    let result = accumulator.sums[0].values
    let scratch = UnsafeMutableBufferPointer<Float>.allocate(capacity: 5)
    defer { scratch.deallocate() }
    let reduction = try GradientAllReduce(
      communicator: SoloCommunicator(), shardCount: 7, length: 5, mode: .fast, scratch: scratch)
    try reduction.reduce(accumulator.sums, into: result)
    #expect(Array(result) == PlainTree.sum(shardCount: 7, length: 5))
  }

  @Test func emptyShardsAreZeros() throws {
    let accumulator = try ShardAccumulator(shards: 2..<4, length: 3)
    let first = accumulator.nextBuffer()
    first[1] = 5
    accumulator.add(shard: 2, first)
    accumulator.add(shard: 3, accumulator.nextBuffer())
    #expect(Array(accumulator.sums[0].values) == [0, 5, 0])
    accumulator.reset()
    #expect(Array(accumulator.nextBuffer()) == [0, 0, 0])
    #expect(Array(accumulator.nextBuffer()) == [0, 0, 0])
  }

  private func fill(_ accumulator: ShardAccumulator) {
    accumulator.reset()
    for shard in accumulator.shards {
      let buffer = accumulator.nextBuffer()
      for i in 0..<buffer.count { buffer[i] += OrderTest.value(stream: shard, element: i) }
      accumulator.add(shard: shard, buffer)
    }
  }

  /// Rounded down.
  private func log2(_ value: Int) -> Int { Int.bitWidth - 1 - value.leadingZeroBitCount }
}
