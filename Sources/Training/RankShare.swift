import GradientSum

/// What one rank does of a step: its gradient shards, and the threads that share these.
struct RankShare {
  let shards: Range<Int>
  /// No more than there are shards.
  let threads: Int

  /// - Parameters:
  ///   - gradientShards: of all ranks, at least one per rank.
  ///   - threads: as many as were asked for.
  init(rank: Int, of ranks: Int, gradientShards: Int, threads: Int) {
    precondition(gradientShards >= ranks, "refused by GradientAllReduce.requireShardPerRank")
    shards = ShardTree.range(part: rank, of: ranks, in: 0..<gradientShards)
    self.threads = max(1, min(threads, shards.count))
  }

  /// The shards of one of its threads.
  func shards(ofThread thread: Int) -> Range<Int> { ShardTree.range(part: thread, of: threads, in: shards) }
}
