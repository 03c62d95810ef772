import Communication
import SystemSupport
import TableSharding

/// The update of a step from the summed gradient: norm, clipping and Adam, by all threads, and what its bits say of this replica.
///
/// Its calls in a step: where updates of rows wait (`defersRows`), `willRead`, and `catchUp` on every thread; `begin`, `addSquares` on
/// every thread, `gatherSquares`, `settle`; where the numbers are finite, `apply` on every thread, `end`.
final class ModelUpdate: @unchecked Sendable {
  /// What the last update, or look, says of this replica; nil before the first one.
  private(set) var check: ReplicaCheck?

  private let state: ModelState
  private let schedule: LearningRateSchedule
  private let threadCount: Int
  private var adam: Adam
  private var gradient: SummedGradient?
  private var rowsToRead = UnsafeBufferPointer<Int32>(start: nil, count: 0)
  /// Where the table is sharded: of gradients with rows, or of neighbouring rows.
  private let squares: RowSquaresExchange?
  private let ownSquares: SquaresExchange?
  /// Whether parts of the table have no replica.
  private let isSharded: Bool
  /// Bit sums that the last update, or look, left: of what each update goes through, and of the rows that a lazy one may leave out.
  private var left: (whole: UInt64, rows: UInt64)?

  /// - Parameters:
  ///   - hasRows: whether gradients have the table's rows in lists.
  ///   - readsAll: whether each step reads rows that it does not touch.
  init(
    _ state: ModelState, _ schedule: LearningRateSchedule, table: TableAdam, hasRows: Bool, readsAll: Bool, threads: Int,
    communicator: any Communicator
  ) {
    self.state = state
    self.schedule = schedule
    threadCount = threads
    let whole = RowOwnership(rowCount: state.configuration.vocabularySize, size: 1)
    let sharded = state.table?.ownership
    let divided = state.table?.isDivided == true ? sharded : nil
    adam = Adam(
      state.layout, table: table, rows: hasRows ? sharded ?? whole : nil, rank: sharded == nil ? 0 : communicator.rank,
      own: divided?.neighbouringRows(of: communicator.rank), readsAll: readsAll, threads: threads)
    isSharded = sharded != nil
    squares = hasRows ? sharded.map { RowSquaresExchange($0, communicator) } : nil
    ownSquares = divided.map { [pieces = adam.pieces] in SquaresExchange(pieces, state.layout, $0, communicator) }
  }

  /// `gradient`: summed over masked items, which stays there until `end`.
  func begin(_ gradient: SummedGradient) { self.gradient = gradient }

  /// Collective. Where ranks have neighbouring rows, what lies across their limits.
  func prepareSquares() throws(CollectiveFailure) { try ownSquares?.prepare(present) }

  func addSquares(_ thread: Int) {
    if let ownSquares { return ownSquares.add(present, into: adam.squares, thread: thread, of: threadCount) }
    adam.addSquares(present, thread: thread, of: threadCount)
  }

  /// Collective. Where the table is sharded, the squares of other ranks' rows.
  func gatherSquares() throws(CollectiveFailure) {
    try squares?(adam.rowSquares)
    try ownSquares?.gather(adam.squares)
  }

  /// All squares are there. What the step comes to; settles the update where its numbers are finite.
  func settle(_ plan: GradientShards, loss: Double, workSeconds: Double) -> StepResult {
    let (norm, rate) = (adam.norm(maskedCount: plan.maskedCount), schedule.rate(step: plan.step))
    let result = StepResult(
      loss: loss / Double(plan.maskedCount), gradientNorm: norm, learningRate: rate, tokenCount: plan.tokenCount,
      maskedCount: plan.maskedCount, epoch: plan.epoch, workSeconds: workSeconds)
    if result.isFinite { adam.begin(rate: rate, norm: norm, maskedCount: plan.maskedCount) }
    return result
  }

  /// Bytes that this rank has sent to others for the norm of a divided gradient so far.
  var sentBytes: Int { ownSquares?.sentBytes ?? 0 }

  func apply(_ thread: Int) { adam.update(state, present, thread: thread, of: threadCount) }

  /// All threads have updated their parts.
  func end() {
    let bits = adam.bitSums
    // Rows that were not touched are taken to be as they were: the next look at memory finds where they are not.
    adam.end()
    let change = adam.takeRowBitChange()
    let rows = left.map { $0.rows &+ change } ?? adam.rowBitSum(of: state)
    check = ReplicaCheck(
      sum: !isSharded ? bits.after &+ rows : adam.bitSumBesidesTable, memoryHolds: left.map { $0.whole == bits.before } ?? true)
    left = (bits.after, rows)
    state.step += 1
  }

  /// Looks at the whole state in memory, as the next update would. No row's updates wait.
  func lookAtMemory() {
    let (whole, rows, change) = (adam.bitSum(of: state), adam.rowBitSum(of: state), adam.takeRowBitChange())
    // Own rows have no replica: what the rank's memory holds says whether they are right.
    check = ReplicaCheck(
      sum: !isSharded ? whole &+ rows : adam.bitSumBesidesTable(of: state),
      memoryHolds: left.map { $0 == (whole, rows &- change) } ?? true)
    left = (whole, rows)
  }

  /// The state has been put back to an earlier one.
  func forgetMemory() {
    (check, left) = (nil, nil)
    adam.endCatchingUp()
    _ = adam.takeRowBitChange()
  }

  // MARK: - Updates of rows that wait

  /// Whether rows that a step reads have to be brought up to date first.
  var defersRows: Bool { adam.deferred != nil }

  /// Whether no further update may wait.
  var isFull: Bool { adam.deferred?.isFull ?? false }

  /// The next step's rows, ascending, of which `catchUp` brings a thread's share up to date.
  func willRead(_ rows: UnsafeBufferPointer<Int32>) { rowsToRead = rows }

  func catchUp(_ thread: Int) { adam.catchUp(rowsToRead, state, thread: thread, of: threadCount) }

  /// A row of this rank that another one asks for.
  func catchUp(row: Int) { adam.catchUp(row, state) }

  func catchUpAll(_ thread: Int) { adam.catchUpAll(state, thread: thread, of: threadCount) }

  /// All threads have brought their rows up to date.
  func endCatchingUp() { adam.endCatchingUp() }

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
