import BERT4RecModel
import Communication
import GradientSum
import StallDetection
import MaskedInstances
import SystemSupport

/// What one update did.
public struct StepResult: Sendable {
  /// Mean cross entropy of the batch's masked items, in nats.
  public let loss: Double
  /// Global norm of the gradient before clipping.
  public let gradientNorm: Double
  public let learningRate: Double
  public let tokenCount: Int
  public let maskedCount: Int
  public let epoch: Int
  /// Seconds of this rank's own work on its gradients, without waiting for other ranks: the one thing here that differs
  /// between ranks and runs.
  public let workSeconds: Double

  package init(
    loss: Double, gradientNorm: Double, learningRate: Double, tokenCount: Int, maskedCount: Int, epoch: Int,
    workSeconds: Double
  ) {
    self.loss = loss
    self.gradientNorm = gradientNorm
    self.learningRate = learningRate
    self.tokenCount = tokenCount
    self.maskedCount = maskedCount
    self.epoch = epoch
    self.workSeconds = workSeconds
  }

  /// Whether the update was made; else nothing changed.
  public var isFinite: Bool { loss.isFinite && gradientNorm.isFinite }
}

/// One optimiser step, from the keyed order of instances to the updated parameters: shards, tree sum, allreduce, clip, Adam.
///
/// The result is a function of the step, the configuration and the data: not of the number of ranks or threads.
package final class TrainingStep {
  private let state: ModelState
  private let schedule: LearningRateSchedule
  private let reduction: GradientAllReduce
  private let work: ThreadedWork
  private let team: ThreadTeam
  private let communicator: any Communicator
  private let progress: RankProgress
  private let stopwatch = ContinuousClock()
  /// Of the parameters, made beside the gradients that follow. An update waits for it.
  package let hash: ParameterHash
  /// What the last update, or look, says of this replica; nil before the first one.
  package private(set) var check: ReplicaCheck?

  package init(
    state: ModelState, configuration: RunConfiguration, instances: MaskedInstances, communicator: any Communicator,
    threads: Int, progress: RankProgress = RankProgress()
  ) throws(CollectiveFailure) {
    self.state = state
    hash = ParameterHash(state)
    self.communicator = communicator
    self.progress = progress
    schedule = LearningRateSchedule(configuration)
    let length = state.layout.count + configuration.gradientShards
    let share = RankShare(
      rank: communicator.rank, of: communicator.size, gradientShards: configuration.gradientShards, threads: threads)
    work = try communicator.onEveryRank { () throws(Failure) in
      try ThreadedWork(
        state: state, configuration: configuration, instances: instances, share: share, length: length, progress: progress)
    }
    reduction = try GradientAllReduce(
      communicator: communicator, shardCount: configuration.gradientShards, length: length,
      mode: configuration.reduction, scratch: work.firstBuffer())
    let work = work
    team = try communicator.onEveryRank { () throws(Failure) in
      try ThreadTeam(count: work.threadCount) { thread, task in work.run(thread: thread, task: task) }
    }
  }

  deinit { team.stop() }

  /// Where the time of this rank's thread 0 goes.
  package var clock: PhaseClock { work.encoders[0].clock }

  package var threadCount: Int { work.threadCount }
  package var reductionDescription: String { reduction.methodDescription }

  /// Useful work of the last step's batch, forward and backward, in FLOP (`InstanceCost`).
  package var usefulFlop: Double {
    let cost = InstanceCost(state.configuration)
    return 3 * work.plan.references.reduce(0) { $0 + cost.flop(tokens: $1.tokenCount, masked: $1.maskedCount) }
  }

  /// How long the gradient's reduction takes by itself: the median of several, and that of a record of 64 bytes.
  package func measureReduction() throws(CollectiveFailure) -> (bytes: Int, seconds: Double, latency: Double) {
    let clock = ContinuousClock()
    let records = StepRecords(communicator)
    var (sums, small) = ([Double](), [Double]())
    for _ in 0..<9 {
      try communicator.waitForAll()
      var start = clock.now
      try reduction.reduce(work.merge.sums, into: work.merge.sums[0].values)
      sums.append((clock.now - start) / .seconds(1))
      start = clock.now
      _ = try records.exchange(StepRecord(step: 0, seconds: 0))
      small.append((clock.now - start) / .seconds(1))
    }
    return (work.merge.sums[0].values.count * MemoryLayout<Float>.stride, sums.sorted()[4], small.sorted()[4])
  }

  /// Computes the update that follows `state.step` earlier ones and counts it.
  ///
  /// Non-finite numbers change nothing: the result tells, and every rank gets the same one.
  package func callAsFunction() throws(CollectiveFailure) -> StepResult {
    let step = state.step
    progress.enter(.gradients)
    let start = stopwatch.now
    clock.enter(.batch)
    work.prepare(step: step)
    clock.enter(nil)
    team.run(ThreadedWork.gradients)
    work.merge.prepare()
    team.run(ThreadedWork.merging)
    let sums = work.merge.sums
    let total = sums[0].values
    let workSeconds = (stopwatch.now - start) / .seconds(1)
    progress.enter(.allreduce)
    clock.enter(.allreduce)
    try reduction.reduce(sums, into: total)
    progress.enter(.update)
    clock.enter(.update)
    defer { clock.enter(nil) }

    let maskedCount = work.plan.maskedCount
    var loss = 0.0
    for shard in 0..<work.plan.shardCount { loss += Double(total[state.layout.count + shard]) }
    work.total = total.start
    team.run(ThreadedWork.squares)
    let norm = work.adam.norm(maskedCount: maskedCount)
    let rate = schedule.rate(step: step)
    let result = StepResult(
      loss: loss / Double(maskedCount), gradientNorm: norm, learningRate: rate, tokenCount: work.plan.tokenCount,
      maskedCount: maskedCount, epoch: work.plan.epoch, workSeconds: workSeconds)
    if !result.isFinite { return result }
    work.adam.begin(rate: rate, norm: norm, maskedCount: maskedCount)
    hash.wait()
    team.run(ThreadedWork.update)
    let bits = work.adam.bitSums
    check = ReplicaCheck(sum: bits.after, memoryHolds: check.map { $0.sum == bits.before } ?? true)
    state.step += 1
    return result
  }

  /// Looks at the whole state in memory, as the next update would.
  package func lookAtMemory() {
    let sum = work.adam.bitSum(of: state)
    check = ReplicaCheck(sum: sum, memoryHolds: check.map { $0.sum == sum } ?? true)
  }

  /// The state has been put back to an earlier one.
  package func forgetMemory() { check = nil }

  /// Counts the step whose numbers were not finite, without an update.
  package func skip() {
    state.step += 1
    state.skippedSteps += 1
  }

  /// Positions of the last batch's instances in the run's stream.
  package var lastInstances: Range<Int> {
    let first = work.step * work.plan.batchSize
    return first..<(first + work.plan.batchSize)
  }

  /// Users of the gradient shards whose loss came out not finite in the last step, ascending.
  package var usersOfNonFiniteShards: [Int] {
    let sums = work.merge.sums[0].values
    let shards = (0..<work.plan.shardCount).filter { !sums[state.layout.count + $0].isFinite }
    return Set(shards.flatMap { work.plan.users(shard: $0) }).sorted()
  }
}

/// What the threads of a rank do in a step. Each has an encoder, a batch and an accumulator of its own.
private final class ThreadedWork: @unchecked Sendable {
  static let gradients = 0
  static let merging = 1
  static let squares = 2
  static let update = 3

  let threadCount: Int
  var plan: GradientShards
  let merge: ThreadMerge
  var adam: Adam
  /// The summed gradient, for clipping and the update.
  var total: UnsafeMutablePointer<Float>?

  private let state: ModelState
  private let dropsOut: Bool
  private let seed: UInt64
  private let length: Int
  private let progress: RankProgress
  let encoders: [BidirectionalEncoder]
  private let batches: [Batch]
  private(set) var step = 0

  init(
    state: ModelState, configuration: RunConfiguration, instances: MaskedInstances, share: RankShare, length: Int,
    progress: RankProgress
  ) throws(Failure) {
    self.state = state
    self.length = length
    self.progress = progress
    threadCount = share.threads
    seed = configuration.seed
    dropsOut = configuration.hiddenDropout > 0 || configuration.attentionDropout > 0
    plan = GradientShards(
      instances, cost: InstanceCost(state.configuration), batchSize: configuration.batchSize,
      shardCount: configuration.gradientShards)
    adam = Adam(state.layout)
    encoders = try (0..<share.threads).map { _ throws(Failure) in
      try .withMemory(
        for: .training, state.configuration, backend: configuration.backend, longestInstance: instances.windows.longest)
    }
    batches = (0..<share.threads).map { _ in Batch() }
    merge = ThreadMerge(
      try (0..<share.threads).map { thread throws(Failure) in
        try ShardAccumulator(shards: share.shards(ofThread: thread), length: length)
      })
  }

  /// A gradient buffer, for the reduction's trial before the first step.
  func firstBuffer() -> UnsafeMutableBufferPointer<Float> {
    let buffer = merge.accumulators[0].nextBuffer()
    merge.accumulators[0].reset()
    return buffer
  }

  func prepare(step: Int) {
    self.step = step
    plan.fill(step: step)
  }

  func run(thread: Int, task: Int) {
    switch task {
    case Self.gradients: computeGradients(thread)
    case Self.merging: merge.add(elements: ShardTree.range(part: thread, of: threadCount, in: 0..<length))
    case Self.squares:
      if let total { adam.addSquares(total, thread: thread, of: threadCount) }
    default:
      if let total { adam.update(state, gradients: total, thread: thread, of: threadCount) }
    }
  }

  private func computeGradients(_ thread: Int) {
    let (accumulator, clock, batch) = (merge.accumulators[thread], encoders[thread].clock, batches[thread])
    accumulator.reset()
    for shard in accumulator.shards {
      clock.enter(.treeSum)
      let buffer = accumulator.nextBuffer(zeroed: false)
      UnsafeMutableBufferPointer(rebasing: buffer[state.layout.count...]).update(repeating: 0)
      clock.enter(.batch)
      plan.makeBatch(shard: shard, into: &batch.packed)
      let loss = encoders[thread].loss(
        batch.packed, parameters: UnsafePointer(state.parameters.start), gradients: buffer.start, overwrites: true,
        dropout: dropsOut ? DropoutKey(seed: seed, step: step) : nil)
      // A slot per shard: the tree adds zeros to it, so it arrives unchanged.
      buffer[state.layout.count + shard] = Float(loss)
      clock.enter(.treeSum)
      accumulator.add(shard: shard, buffer)
      progress.tick()
    }
    // Until the slowest thread is done.
    clock.enter(.threads)
  }
}

/// A thread's batch. In an array of values the threads would change one array.
private final class Batch {
  var packed = PackedBatch()
}
