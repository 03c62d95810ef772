/// The update of a step from the summed gradient: norm, clipping and Adam, by all threads, and what its bits say of this replica.
///
/// Its calls in a step: `begin`, `addSquares` on every thread, `settle`; where the numbers are finite, `apply` on every thread, `end`.
final class ModelUpdate: @unchecked Sendable {
  /// What the last update, or look, says of this replica; nil before the first one.
  private(set) var check: ReplicaCheck?

  private let state: ModelState
  private let schedule: LearningRateSchedule
  private let threadCount: Int
  private var adam: Adam
  private var gradient: SummedGradient?
  /// Bit sums that the last update, or look, left: of what each update goes through, and of the rows that a lazy one may leave out.
  private var left: (whole: UInt64, rows: UInt64)?

  init(_ state: ModelState, _ schedule: LearningRateSchedule, table: TableAdam, threads: Int) {
    self.state = state
    self.schedule = schedule
    threadCount = threads
    adam = Adam(state.layout, table: table, threads: threads)
  }

  /// `gradient`: summed over masked items, which stays there until `end`.
  func begin(_ gradient: SummedGradient) { self.gradient = gradient }

  func addSquares(_ thread: Int) { adam.addSquares(present, thread: thread, of: threadCount) }

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
    check = ReplicaCheck(sum: bits.after &+ rows, memoryHolds: left.map { $0.whole == bits.before } ?? true)
    left = (bits.after, rows)
    state.step += 1
  }

  /// Looks at the whole state in memory, as the next update would.
  func lookAtMemory() {
    let (whole, rows) = (adam.bitSum(of: state), adam.rowBitSum(of: state))
    check = ReplicaCheck(sum: whole &+ rows, memoryHolds: left.map { $0 == (whole, rows) } ?? true)
    left = (whole, rows)
  }

  /// The state has been put back to an earlier one.
  func forgetMemory() { (check, left) = (nil, nil) }

  private var present: SummedGradient {
    guard let gradient else { preconditionFailure("begin(_:) comes first") }
    return gradient
  }
}
