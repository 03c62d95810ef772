import CKernels

/// What the original's optimiser (its optimization.py) does not leave to the configuration.
enum AdamConstants {
  /// Global norm to which a larger gradient is scaled down.
  static let clipNorm = 5.0
  /// Decoupled weight decay (Loshchilov and Hutter 2019), in learning rates per update.
  static let weightDecay: Float = 0.01

  /// An update for the kernels. The weights of a new gradient are what the reference means by 1 - beta, which float32's 1 - 0.999 is not.
  static func settings(rate: Float = 0, gradientScale: Float = 1) -> kernel_adam {
    kernel_adam(
      learning_rate: rate, beta1: 0.9, beta2: 0.999, gradient_weight1: 0.1, gradient_weight2: 0.001, epsilon: 1e-6,
      weight_decay: weightDecay, gradient_scale: gradientScale)
  }
}
