import Communication
import SystemSupport
import TableSharding

/// The update of a step from the summed gradient: norm, clipping and Adam, by all threads, and what its bits say of this replica.
///
/// Its calls in a step: `begin`, `addSquares` on every thread, `gatherSquares`, `settle`; where the numbers are finite, `apply` on every thread, `end`.
final class ModelUpdate: @unchecked Sendable {
  /// What the last update, or look, says of this replica; nil before the first one.
  private(set) var check: ReplicaCheck?

  private let state: ModelState
  private let schedule: LearningRateSchedule
  private let threadCount: Int
  private var adam: Adam
  private var gradient: SummedGradient?
  /// Where the table is sharded.
  private let squares: RowSquaresExchange?
  /// Bit sums that the last update, or look, left: of what each update goes through, and of the rows that a lazy one may leave out.
  private var left: (whole: UInt64, rows: UInt64)?

  /// - Parameter hasRows: whether gradients have the table's rows in lists.
  init(
    _ state: ModelState, _ schedule: LearningRateSchedule, table: TableAdam, hasRows: Bool, threads: Int, communicator: any Communicator
  ) {
    self.state = state
    self.schedule = schedule
    threadCount = threads
    let whole = RowOwnership(rowCount: state.configuration.vocabularySize, size: 1)
    let sharded = state.table?.ownership
    adam = Adam(
      state.layout, table: table, rows: hasRows ? sharded ?? whole : nil, rank: sharded == nil ? 0 : communicator.rank, threads: threads)
    squares = sharded.map { RowSquaresExchange($0, communicator) }
  }

  /// `gradient`: summed over masked items, which stays there until `end`.
  func begin(_ gradient: SummedGradient) { self.gradient = gradient }

  func addSquares(_ thread: Int) { adam.addSquares(present, thread: thread, of: threadCount) }

  /// Collective. Where the table is sharded, the squares of other ranks' rows.
  func gatherSquares() throws(CollectiveFailure) { try squares?(adam.rowSquares) }

  /// All squares are there. What the step comes to; settles the update where its numbers are finite.
  func settle(_ plan: GradientShards, loss: Double, workSeconds: Double) -> StepResult {
    let (norm, rate) = (adam.norm(maskedCount: plan.maskedCount), schedule.rate(step: plan.step))
    let result = StepResult(
      loss: loss / Double(plan.maskedCount), gradientNorm: norm, learningRate: rate, tokenCount: plan.tokenCount,
      maskedCount: plan.maskedCount, epoch: plan.epoch, workSeconds: workSeconds)
    if result.isFinite { adam.begin(rate: rate, norm: norm, maskedCount: plan.maskedCount) }
    return result
  }

  func apply(_ thread: Int) { adam.update(state, present, thread: thread, of: threadCount) }

  /// All threads have updated their parts.
  func end() {
    let bits = adam.bitSums
    // Rows that were not touched are taken to be as they were: the next look at memory finds where they are not.
    let rows = left.map { $0.rows &+ adam.rowBitChange } ?? adam.rowBitSum(of: state)
    check = ReplicaCheck(
      sum: squares == nil ? bits.after &+ rows : adam.bitSumBesidesTable, memoryHolds: left.map { $0.whole == bits.before } ?? true)
    left = (bits.after, rows)
    state.step += 1
  }

  /// Looks at the whole state in memory, as the next update would.
  func lookAtMemory() {
    let (whole, rows) = (adam.bitSum(of: state), adam.rowBitSum(of: state))
    // Own rows have no replica: what the rank's memory holds says whether they are right.
    check = ReplicaCheck(
      sum: squares == nil ? whole &+ rows : adam.bitSumBesidesTable(of: state), memoryHolds: left.map { $0 == (whole, rows) } ?? true)
    left = (whole, rows)
  }

  /// The state has been put back to an earlier one.
  func forgetMemory() { (check, left) = (nil, nil) }

  private var present: SummedGradient {
    guard let gradient else { preconditionFailure("begin(_:) comes first") }
    return gradient
  }
}

/// Every rank's sums of squares of its own blocks of rows, on every rank. Allocates nothing.
private final class RowSquaresExchange {
  private let ownership: RowOwnership
  private let communicator: any Communicator
  /// Blocks of a rank at most.
  private let count: Int
  private let own: UnsafeMutableBufferPointer<Double>
  private let all: UnsafeMutableBufferPointer<Double>

  init(_ ownership: RowOwnership, _ communicator: any Communicator) {
    (self.ownership, self.communicator) = (ownership, communicator)
    count = (ownership.blockCount + ownership.size - 1) / ownership.size
    own = .allocate(capacity: count)
    own.initialize(repeating: 0)
    all = .allocate(capacity: count * ownership.size)
    all.initialize(repeating: 0)
  }

  deinit {
    own.deallocate()
    all.deallocate()
  }

  /// `squares`, one number per block of the table: those of this rank's blocks are there, the others' come.
  func callAsFunction(_ squares: UnsafeMutableBufferPointer<Double>) throws(CollectiveFailure) {
    if ownership.size == 1 { return }
    for (index, block) in ownership.blocks(of: communicator.rank).enumerated() { own[index] = squares[block] }
    try communicator.allGatherRecords(UnsafeRawBufferPointer(own), into: UnsafeMutableRawBufferPointer(all))
    for rank in 0..<ownership.size {
      for (index, block) in ownership.blocks(of: rank).enumerated() { squares[block] = all[rank * count + index] }
    }
  }
}
