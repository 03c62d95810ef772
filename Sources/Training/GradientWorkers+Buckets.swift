import BERT4RecModel
import Masking

/// The loss `sce` over a sharded table (`BucketExchange`).
extension GradientWorkers {
  /// What all ranks do with all buckets.
  private var exchange: BucketExchange {
    guard let buckets else { preconditionFailure("a task of sce over a sharded table") }
    return buckets
  }

  /// Calls `body` with each block of a thread's shards, its number in the step's plan, and its encoder.
  private func forEachBlock(_ thread: Int, _ body: (Block, Int, BidirectionalEncoder) -> Void) {
    for shard in merge.accumulators[thread].shards {
      encodedShards[shard - firstShard].forEachBlock(batches[shard - firstShard].packed, shard, exchange.plan, body)
      progress.tick()
    }
    clocks[thread].enter(.threads)
  }

  /// The first half of a thread's shards: buckets with their rows.
  func makeBuckets(_ thread: Int) {
    let (parameters, dropout) = (UnsafePointer(state.parameters.start), dropout)
    clocks[thread].enter(.embedding)
    forEachBlock(thread) { block, number, encoder in
      let t = encoder.encode(block, parameters: parameters, dropout: dropout)
      clocks[thread].enter(.head)
      encoder.buckets.begin(t, negatives(of: exchange.plan.blocks[number].shard).ofBuckets(block))
      exchange.put(encoder.buckets, ofBlock: number)
    }
  }

  /// A thread's part of the search for all ranks' buckets of a group of blocks.
  func searchItems(_ thread: Int) {
    clocks[thread].enter(.head)
    exchange.search(thread)
    progress.tick()
    clocks[thread].enter(.threads)
  }

  /// The items of the thread's own buckets in the group; with the labels they are the rows that the loss reads.
  func fillBuckets(_ thread: Int) {
    clocks[thread].enter(.head)
    forEachBlock(thread) { block, number, encoder in
      if !exchange.group.contains(number) { return }
      let buckets = encoder.buckets
      exchange.fill(buckets, ofBlock: number)
      for bucket in 0..<buckets.bucketCount { readers?.read(buckets.search.found(bucket).items, thread) }
      readers?.read(UnsafeBufferPointer(start: block.labels, count: block.maskedCount), thread)
    }
  }

  /// The second half, once these rows are here.
  func computeBucketGradients(_ thread: Int) {
    let (rows, parameters, dropout) = (rowGradients[thread], UnsafePointer(state.parameters.start), dropout)
    addShards(thread, zeroed: true) { shard, buffer in
      rows.removeAll()
      var loss = 0.0
      encodedShards[shard - firstShard].forEachBlock(batches[shard - firstShard].packed, shard, exchange.plan) { block, _, encoder in
        loss += encoder.backward(block, parameters: parameters, gradients: buffer, dropout: dropout, rows: rows)
      }
      return loss
    }
  }
}
