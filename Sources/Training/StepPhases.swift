import BERT4RecModel

/// What a training step times besides the encoder's phases.
extension StepPhase {
  /// Making the batch: order, shards, masks.
  static let batch = StepPhase("batch", place: 8)
  /// Zeroing and adding the gradients of shards.
  static let treeSum = StepPhase("treeSum", place: 9)
  /// Waiting for other threads.
  static let threads = StepPhase("threads", place: 10)
  static let allreduce = StepPhase("allreduce", place: 11)
  /// Norm, clipping and Adam.
  static let update = StepPhase("update", place: 12)

  /// All of a step, in the order in which they are shown.
  static let all = [batch, embedding, attention, dense, head, treeSum, threads, allreduce, update]
}
