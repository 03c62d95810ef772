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
  private var gradients: UnsafePointer<Float>?

  init(_ state: ModelState, _ schedule: LearningRateSchedule, threads: Int) {
    self.state = state
    self.schedule = schedule
    threadCount = threads
    adam = Adam(state.layout)
  }

  /// `gradients`: summed over masked items, which stay there until `end`.
  func begin(gradients: UnsafeMutablePointer<Float>) { self.gradients = UnsafePointer(gradients) }

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

  func apply(_ thread: Int) { adam.update(state, gradients: present, thread: thread, of: threadCount) }

  /// All threads have updated their parts.
  func end() {
    let bits = adam.bitSums
    check = ReplicaCheck(sum: bits.after, memoryHolds: check.map { $0.sum == bits.before } ?? true)
    state.step += 1
  }

  /// Looks at the whole state in memory, as the next update would.
  func lookAtMemory() {
    let sum = adam.bitSum(of: state)
    check = ReplicaCheck(sum: sum, memoryHolds: check.map { $0.sum == sum } ?? true)
  }

  /// The state has been put back to an earlier one.
  func forgetMemory() { check = nil }

  private var present: UnsafePointer<Float> {
    guard let gradients else { preconditionFailure("begin(gradients:) comes first") }
    return gradients
  }
}
