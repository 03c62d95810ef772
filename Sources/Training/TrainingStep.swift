import BERT4RecModel
import Communication
import GradientSum
import Masking
import SystemSupport

/// One optimiser step, from the keyed order of instances to the updated parameters: plan, gradients by all threads, tree sum, allreduce,
/// update.
///
/// The result is a function of the step, the configuration and the data: not of the number of ranks or threads.
package final class TrainingStep {
  /// What the threads of a rank do together, in this order; each ends before the next begins.
  private enum Task: Int {
    case catchingUpAll, batches, catchingUp, gradients, merging, squares, update
    // With a divided loss, in place of `gradients`.
    case encoding, tiles, additions, backward, table
    // With buckets over a sharded table.
    case bucketing, searching, filling, bucketGradients
  }

  private let state: ModelState
  private let workers: GradientWorkers
  private let update: ModelUpdate
  private let team: ThreadTeam
  private let context: RankContext
  private let stopwatch = ContinuousClock()
  package let reduction: GradientAllReduce
  /// Of the rows of the table, where the loss touches few.
  private let rowReduction: RowReduction?
  /// Of the parameters, made beside the gradients that follow, once all rows are up to date. An update waits for it.
  package let hash: ParameterHash

  /// Fewer gradient shards than ranks are refused (exit code 64).
  package init(
    state: ModelState, configuration: RunConfiguration, instances: MaskedInstances, threads: Int, context: RankContext
  ) throws(CollectiveFailure) {
    let communicator = context.communicator
    try GradientAllReduce.requireShardPerRank(shardCount: configuration.gradientShards, size: communicator.size)
    self.state = state
    self.context = context
    hash = ParameterHash(state)
    let share = RankShare(
      rank: communicator.rank, of: communicator.size, gradientShards: configuration.gradientShards, threads: threads)
    let workers = try communicator.onEveryRank { () throws(ProgramFailure) in
      try GradientWorkers(
        state: state, configuration: configuration, instances: instances, share: share, progress: context.progress,
        communicator: communicator)
    }
    let update = ModelUpdate(
      state, LearningRateSchedule(configuration), table: configuration.tableAdam, hasRows: workers.rowNodes != nil,
      readsAll: !configuration.loss.readsFewRows, threads: workers.threadCount, communicator: communicator)
    state.table?.beforeSending = { update.catchUp(row: $0) }
    reduction = try GradientAllReduce(
      communicator: communicator, shardCount: configuration.gradientShards, length: workers.length,
      mode: configuration.reduction, scratch: workers.firstBuffer())
    rowReduction = workers.rowNodes.map {
      RowReduction(
        communicator: communicator, shardCount: configuration.gradientShards, threads: $0, width: state.configuration.hiddenSize + 1,
        ownership: state.table?.ownership)
    }
    team = try communicator.onEveryRank { () throws(ProgramFailure) in
      try ThreadTeam(count: workers.threadCount) { thread, task in
        switch Task(rawValue: task) {
        case .catchingUpAll: update.catchUpAll(thread)
        case .batches: workers.makeBatches(thread)
        case .catchingUp: update.catchUp(thread)
        case .gradients: workers.computeGradients(thread)
        case .merging: workers.mergeSums(thread)
        case .squares: update.addSquares(thread)
        case .update: update.apply(thread)
        case .encoding: workers.encode(thread)
        case .tiles: workers.divide(thread) { $0.makeTiles(thread) }
        case .additions: workers.divide(thread) { $0.addPiece(thread) }
        case .backward: workers.computeDividedGradients(thread)
        case .table: workers.divide(thread) { $0.makeGradient(thread) }
        case .bucketing: workers.makeBuckets(thread)
        case .searching: workers.searchItems(thread)
        case .filling: workers.fillBuckets(thread)
        case .bucketGradients: workers.computeBucketGradients(thread)
        case nil: preconditionFailure("run(_:) takes a Task")
        }
      }
    }
    self.workers = workers
    self.update = update
  }

  deinit { team.stop() }

  /// Where the time of this rank's thread 0 goes.
  package var clock: PhaseClock { workers.clock }
  package var threadCount: Int { workers.threadCount }
  /// The batch of the last step.
  package var plan: GradientShards { workers.plan }
  /// What this rank brought to the last reduction, of which the first one's buffer then got the sum of all.
  package var sums: [PartialSum] { workers.sums }

  /// Of rows of the table and their gradients, in bytes: what this rank's shards touched in the last step, and what this rank has sent to
  /// others so far. Nil with a loss that touches all rows.
  package var rowTraffic: (touched: Int, sent: Int)? {
    if let divided = workers.divided {
      return (divided.rowBytes, divided.sentBytes + divided.tokens.sentBytes + update.sentBytes + (state.table?.sentBytes ?? 0))
    }
    return rowReduction.map {
      (
        $0.ownRowCount * (state.configuration.hiddenSize + 1) * MemoryLayout<Float>.stride,
        $0.sentBytes + (state.table?.sentBytes ?? 0) + (workers.buckets?.sentBytes ?? 0)
      )
    }
  }

  /// Sums what the last step brought once more, for its time; the bytes of the sum.
  package func reduceAgain() throws(CollectiveFailure) -> Int {
    let total = workers.sums[0].values
    try reduction.reduce(workers.sums, into: total)
    let rows = try rowReduction?.reduce(workers.rowSums)
    return total.count * MemoryLayout<Float>.stride + (rows.map { RowList.byteCount(rows: $0.count, width: $0.width) } ?? 0)
  }

  /// Computes the update that follows `state.step` earlier ones and counts it.
  ///
  /// Non-finite numbers change nothing: the result tells, and every rank gets the same one.
  package func callAsFunction() throws(CollectiveFailure) -> StepResult {
    context.progress.enter(.gradients)
    let start = stopwatch.now
    clock.enter(.batch)
    workers.prepare(step: state.step)
    clock.enter(nil)
    if update.isFull { catchUpAll() }
    if workers.listsRowsRead { try prepareRows() }
    if let divided = workers.divided {
      try divide(divided)
    } else if let buckets = workers.buckets {
      try share(buckets)
    } else {
      run(.gradients)
    }
    workers.prepareMerge()
    run(.merging)
    let workSeconds = (stopwatch.now - start) / .seconds(1)

    context.progress.enter(.allreduce)
    clock.enter(.allreduce)
    let total = workers.sums[0].values
    try reduction.reduce(workers.sums, into: total)
    let rows = try rowReduction?.reduce(workers.rowSums)

    context.progress.enter(.update)
    clock.enter(.update)
    defer { clock.enter(nil) }
    let values = UnsafePointer(total.start)
    update.begin(
      workers.divided.map { SummedGradient(values, state.layout, own: $0.gradient) } ?? SummedGradient(values, state.layout, rows: rows))
    try update.prepareSquares()
    run(.squares)
    try update.gatherSquares()
    let result = update.settle(workers.plan, loss: workers.loss(of: total), workSeconds: workSeconds)
    if !result.isFinite { return result }
    hash.wait()
    run(.update)
    update.end()
    return result
  }

  /// The gradients of the full loss over a sharded table.
  private func divide(_ divided: DividedLoss) throws(CollectiveFailure) {
    divided.begin(workers.plan)
    run(.encoding)
    try exchange { () throws(CollectiveFailure) in try divided.gatherRows() }
    run(.tiles)
    try exchange { () throws(CollectiveFailure) in
      try divided.sum {
        run(.additions)
        clock.enter(.allreduce)
      }
    }
    run(.backward)
    try exchange { () throws(CollectiveFailure) in try divided.tokens.exchange(divided.plan) }
    run(.table)
  }

  /// The gradients of `sce` over a sharded table.
  private func share(_ buckets: BucketExchange) throws(CollectiveFailure) {
    buckets.begin(workers.plan)
    run(.bucketing)
    try exchange { () throws(CollectiveFailure) in try buckets.gatherVectors() }
    for group in buckets.groups {
      buckets.begin(group: group)
      run(.searching)
      try exchange { () throws(CollectiveFailure) in try buckets.exchangeItems() }
      run(.filling)
    }
    let rows = workers.takeRowsRead()
    try exchange { () throws(CollectiveFailure) in try state.table?.fetch(rows) }
    run(.bucketGradients)
  }

  private func exchange(_ rows: () throws(CollectiveFailure) -> Void) throws(CollectiveFailure) {
    context.progress.enter(.rows)
    clock.enter(.allreduce)
    try rows()
    clock.enter(nil)
    context.progress.enter(.gradients)
  }

  /// Brings the rows that this rank's shards read up to date, and to their places.
  private func prepareRows() throws(CollectiveFailure) {
    run(.batches)
    let rows = workers.takeRowsRead()
    if update.defersRows {
      update.willRead(rows)
      clock.enter(.update)
      run(.catchingUp)
      clock.enter(nil)
    }
    if let table = state.table { try exchange { () throws(CollectiveFailure) in try table.fetch(rows) } }
  }

  private func run(_ task: Task) { team.run(task.rawValue) }

  /// Counts the step whose numbers were not finite, without an update.
  package func skip() {
    state.step += 1
    state.skippedSteps += 1
  }

  // MARK: - The replica

  /// What the last update, or look, says of this replica; nil before the first one.
  package var check: ReplicaCheck? { update.check }

  /// Does all updates that rows of the table have not had yet. Whoever reads the whole state calls this first, on all ranks.
  package func catchUpAll() {
    if !update.defersRows { return }
    clock.enter(.update)
    run(.catchingUpAll)
    update.endCatchingUp()
    clock.enter(nil)
  }

  /// Looks at the whole state in memory, as the next update would, with no update of rows left to be done.
  package func lookAtMemory() {
    catchUpAll()
    update.lookAtMemory()
  }

  /// The state has been put back to an earlier one.
  package func forgetMemory() { update.forgetMemory() }

  // MARK: - Numbers that are not finite

  /// Users of the gradient shards whose loss came out not finite in the last step, ascending.
  package var usersOfNonFiniteShards: [Int] {
    Set(workers.nonFiniteShards.flatMap { workers.plan.users(shard: $0) }).sorted()
  }
}
