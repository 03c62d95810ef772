import BERT4RecModel
import Communication
import GradientSum
import Masking
import StallDetection
import SystemSupport
import TableSharding

/// A rank's threads at the gradients of a step. Each has an encoder, a batch and an accumulator of its own; what they share is read, or
/// cut into parts by thread.
///
/// A gradient buffer holds the parameters' gradients and behind them a slot per shard for its loss, so that losses are summed with them.
/// With a loss that touches few rows of the table, those of the table and its biases are not in it, but in lists of rows.
final class GradientWorkers: @unchecked Sendable {
  let threadCount: Int
  /// Elements of a gradient buffer.
  let length: Int
  private(set) var plan: GradientShards

  let state: ModelState
  private let dropsOut: Bool
  private let seed: UInt64
  let progress: RankProgress
  let merge: ThreadMerge
  /// One per thread, where a shard's gradients are made at once; else empty.
  private let encoders: [BidirectionalEncoder]
  let clocks: [PhaseClock]
  /// The full loss over a sharded table.
  let divided: DividedLoss?
  /// `sce` over a sharded table.
  let buckets: BucketExchange?
  /// What each own shard has between its halves with one of these two.
  let encodedShards: [EncodedShard]
  /// One per thread or, where rows are brought before the gradients, one per shard.
  let batches: [Batch]
  /// Where rows are brought, or brought up to date, before the gradients.
  let readers: RowReaders?
  let firstShard: Int
  /// Of each thread, and its sums; empty with the full loss.
  let rowGradients: [RowGradients]
  private let rowAccumulators: [RowAccumulator]

  init(
    state: ModelState, configuration: RunConfiguration, instances: MaskedInstances, share: RankShare, progress: RankProgress,
    communicator: any Communicator
  ) throws(ProgramFailure) {
    self.state = state
    self.progress = progress
    threadCount = share.threads
    seed = configuration.seed
    dropsOut = configuration.hiddenDropout > 0 || configuration.attentionDropout > 0
    let touchesRows = configuration.loss.kind != .full
    let table = state.table.flatMap { $0.isDivided ? $0 : nil }
    let searched = state.table.flatMap { configuration.loss.kind == .sce && $0.ownership.size > 1 ? $0 : nil }
    let length = (touchesRows || table != nil ? state.layout.besidesTable.count : state.layout.count) + configuration.gradientShards
    self.length = length
    plan = GradientShards(
      instances, cost: InstanceCost(state.configuration, configuration.loss), batchSize: configuration.batchSize,
      shardCount: configuration.gradientShards)
    let sampler = RowSampler(
      configuration.loss, counts: configuration.loss.drawsByPopularity ? instances.windows.split.itemCounts(instances.tokens) : [],
      vocabularySize: state.configuration.vocabularySize)
    divided = try table.map { table throws(ProgramFailure) in
      try DividedLoss(
        state, table, communicator: communicator, shardCount: configuration.gradientShards, backend: configuration.backend,
        threads: share.threads)
    }
    buckets = searched.map {
      BucketExchange(
        state, $0, configuration.loss, communicator: communicator, shardCount: configuration.gradientShards,
        backend: configuration.backend, longestInstance: instances.longest, threads: share.threads)
    }
    if table != nil || searched != nil {
      encoders = []
      let clocks = (0..<share.threads).map { _ in PhaseClock() }
      self.clocks = clocks
      encodedShards = (0..<share.threads).flatMap { thread in
        share.shards(ofThread: thread).map { _ in
          EncodedShard(
            state.configuration, configuration.backend, longestInstance: instances.longest,
            loss: searched == nil ? nil : configuration.loss, clocks[thread])
        }
      }
    } else {
      encoders = try (0..<share.threads).map { _ throws(ProgramFailure) in
        try .withMemory(
          for: .training, state.configuration, backend: configuration.backend, longestInstance: instances.longest,
          loss: configuration.loss, sampler: sampler)
      }
      (encodedShards, clocks) = ([], encoders.map(\.clock))
    }
    let listsRows =
      table != nil || searched != nil
      || configuration.loss.readsFewRows && (state.table != nil || configuration.tableAdam == .exact)
    readers = listsRows ? RowReaders(configuration.loss, sampler, threads: share.threads) : nil
    batches = (0..<(readers == nil ? share.threads : share.shards.count)).map { _ in Batch() }
    firstShard = share.shards.lowerBound
    let hidden = state.configuration.hiddenSize
    rowGradients = touchesRows ? (0..<share.threads).map { _ in RowGradients(hidden: hidden) } : []
    rowAccumulators =
      touchesRows ? (0..<share.threads).map { RowAccumulator(shards: share.shards(ofThread: $0), width: hidden + 1) } : []
    merge = ThreadMerge(
      try (0..<share.threads).map { thread throws(ProgramFailure) in
        try ShardAccumulator(shards: share.shards(ofThread: thread), length: length)
      })
  }

  /// Where the time of thread 0 goes.
  var clock: PhaseClock { clocks[0] }

  /// A gradient buffer, for the reduction's trial before the first step.
  func firstBuffer() -> UnsafeMutableBufferPointer<Float> {
    let buffer = merge.accumulators[0].nextBuffer()
    merge.accumulators[0].reset()
    return buffer
  }

  func prepare(step: Int) { plan.fill(step: step) }

  /// Whether the rows that a step reads are listed before the gradients: where they are fetched, or brought up to date.
  var listsRowsRead: Bool { readers != nil }

  /// Makes the batches of a thread's shards, where `listsRowsRead`.
  func makeBatches(_ thread: Int) {
    guard let readers else { return }
    clocks[thread].enter(.batch)
    for shard in merge.accumulators[thread].shards {
      let batch = batches[shard - firstShard]
      plan.makeBatch(shard: shard, into: &batch.packed)
      readers.read(batch.packed, negatives(of: shard), thread)
      progress.tick()
    }
    clocks[thread].enter(.threads)
  }

  /// The rows that this rank's shards read, ascending, once all batches are made. Valid until the next call.
  func takeRowsRead() -> UnsafeBufferPointer<Int32> {
    guard let readers else { preconditionFailure("rows are listed where listsRowsRead") }
    return readers.takeRows()
  }

  func negatives(of shard: Int) -> NegativeKey { NegativeKey(seed: seed, step: plan.step, shard: shard) }

  /// A thread's shards.
  func computeGradients(_ thread: Int) {
    addShards(thread, zeroed: false) { shard, buffer in
      let batch = batches[readers == nil ? thread : shard - firstShard]
      if readers == nil {
        clocks[thread].enter(.batch)
        plan.makeBatch(shard: shard, into: &batch.packed)
      }
      return encoders[thread].loss(
        batch.packed, parameters: UnsafePointer(state.parameters.start), gradients: buffer, overwrites: true,
        dropout: dropout, negatives: negatives(of: shard), rows: rowGradients.isEmpty ? nil : rowGradients[thread])
    }
  }

  /// Hands what a thread's shards come to to its sums, one after the other: gradients, losses and, where rows have lists, the table's.
  ///
  /// - Parameters:
  ///   - zeroed: whether `gradients` are added to what is there, rather than overwritten.
  ///   - gradients: leaves a shard's in the buffer and in `rowGradients`, and returns its loss.
  func addShards(_ thread: Int, zeroed: Bool, _ gradients: (_ shard: Int, _ buffer: UnsafeMutablePointer<Float>) -> Double) {
    let (accumulator, clock) = (merge.accumulators[thread], clocks[thread])
    accumulator.reset()
    if !rowAccumulators.isEmpty { rowAccumulators[thread].reset() }
    for shard in accumulator.shards {
      clock.enter(.treeSum)
      let buffer = accumulator.nextBuffer(zeroed: zeroed)
      if !zeroed { UnsafeMutableBufferPointer(rebasing: buffer[parameterCount...]).update(repeating: 0) }
      let loss = gradients(shard, buffer.start)
      // A slot per shard: the tree adds zeros to it, so it arrives unchanged.
      buffer[parameterCount + shard] = Float(loss)
      clock.enter(.treeSum)
      if !rowGradients.isEmpty {
        let (rows, sums) = (rowGradients[thread], rowAccumulators[thread])
        let list = sums.nextList()
        list.resize(rows.count)
        rows.copy(ids: list.ids, values: list.values)
        sums.add(shard: shard, list)
      }
      accumulator.add(shard: shard, buffer)
      progress.tick()
    }
    // Until the slowest thread is done.
    clock.enter(.threads)
  }

  /// Of the step's dropout; nil: there is none.
  var dropout: DropoutKey? { dropsOut ? DropoutKey(seed: seed, step: plan.step) : nil }

  // MARK: - With a divided loss

  /// The first half of a thread's shards: all their masked rows, ready to meet the vocabulary.
  func encode(_ thread: Int) {
    guard let divided else { preconditionFailure("a loss of its own has the second half with it") }
    clocks[thread].enter(.embedding)
    for shard in merge.accumulators[thread].shards {
      let own = shard - firstShard
      encodedShards[own].encode(
        batches[own].packed, shard, divided, parameters: UnsafePointer(state.parameters.start), dropout: dropout)
      progress.tick()
    }
    clocks[thread].enter(.threads)
  }

  /// A thread's part of what all ranks do with all rows.
  func divide(_ thread: Int, _ work: (DividedLoss) -> Void) {
    guard let divided else { preconditionFailure("a task of a divided loss") }
    clocks[thread].enter(.head)
    work(divided)
    progress.tick()
    clocks[thread].enter(.threads)
  }

  /// The second half.
  func computeDividedGradients(_ thread: Int) {
    guard let divided else { preconditionFailure("a loss of its own has the second half with it") }
    addShards(thread, zeroed: true) { shard, buffer in
      encodedShards[shard - firstShard].backward(
        batches[shard - firstShard].packed, shard, divided, parameters: UnsafePointer(state.parameters.start), gradients: buffer,
        dropout: dropout)
    }
  }

  /// Gradients in a buffer; behind them stand the losses.
  private var parameterCount: Int { length - plan.shardCount }

  /// What threads bring to the sum over rows: nodes of the tree, nil with the full loss.
  var rowNodes: [TreeNode]? {
    rowAccumulators.isEmpty ? nil : rowAccumulators.flatMap { ShardTree.maximalNodes(of: $0.shards) }
  }

  /// The rows of this rank's shards, once all threads have computed their gradients. Empty with the full loss.
  private(set) var rowSums: [RowSum] = []

  /// All threads have computed their gradients.
  func prepareMerge() {
    merge.prepare()
    rowSums.removeAll(keepingCapacity: true)
    for accumulator in rowAccumulators { rowSums.append(contentsOf: accumulator.sums) }
  }

  /// A thread's part of the elements.
  func mergeSums(_ thread: Int) { merge.add(elements: ShardTree.range(part: thread, of: threadCount, in: 0..<length)) }

  /// The sums of this rank's shards, once they are merged.
  var sums: [PartialSum] { merge.sums }

  /// The loss of the whole batch, summed over masked items, from the sum over all ranks.
  func loss(of total: UnsafeMutableBufferPointer<Float>) -> Double {
    var loss = 0.0
    for shard in 0..<plan.shardCount { loss += Double(total[parameterCount + shard]) }
    return loss
  }

  /// Of the last step, once its sum was made.
  var nonFiniteShards: [Int] {
    (0..<plan.shardCount).filter { !sums[0].values[parameterCount + $0].isFinite }
  }
}

/// A thread's batch. In an array of values the threads would change one array.
final class Batch {
  var packed = PackedBatch()
}
