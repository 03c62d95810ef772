/// What one update did.
public struct StepResult: Sendable {
  /// Mean cross entropy of the batch's masked items, in nats.
  public let loss: Double
  /// Global norm of the gradient before clipping.
  public let gradientNorm: Double
  /// The rate of this update.
  public let learningRate: Double
  /// Tokens of the global batch.
  public let tokenCount: Int
  /// Masked items of the global batch.
  public let maskedCount: Int
  /// Which epoch the batch began in, from 0.
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
