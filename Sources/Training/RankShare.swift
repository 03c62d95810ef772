import GradientSum

/// What one rank does of a step: its gradient shards, and the threads that share these.
struct RankShare {
  let shards: Range<Int>
  /// No more than there are shards.
  let threads: Int

  /// - Parameters:
  ///   - gradientShards: of all ranks. With fewer than ranks, which is refused in another place, it is as if there were one rank.
  ///   - threads: as many as were asked for.
  init(rank: Int, of ranks: Int, gradientShards: Int, threads: Int) {
    shards = gradientShards < ranks ? 0..<1 : ShardTree.range(part: rank, of: ranks, in: 0..<gradientShards)
    self.threads = max(1, min(threads, shards.count))
  }

  /// The shards of one of its threads.
  func shards(ofThread thread: Int) -> Range<Int> { ShardTree.range(part: thread, of: threads, in: shards) }
}
