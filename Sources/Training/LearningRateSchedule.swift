import SystemSupport

/// The learning rate of each step: a linear rise over the warm-up steps, then what `shape` says. Steps count from 0, so with a
/// warm-up the first update has rate 0: it moves the moments and not the parameters, as in the original.
public struct LearningRateSchedule: Sendable, Equatable {
  public enum Shape: String, Sendable, CaseIterable {
    /// The original's: a linear decay to 0 at the last step, which counts from step 0 and so begins a little below the peak.
    case linear
    /// Half a cosine from the peak, at the end of the warm-up, to 0 at the last step (Loshchilov and Hutter 2017).
    case cosine
    case constant
  }

  public let shape: Shape
  public let peak: Double
  public let warmupSteps: Int
  public let totalSteps: Int

  public init(_ shape: Shape = .linear, peak: Double, warmupSteps: Int, totalSteps: Int) {
    self.shape = shape
    self.peak = peak
    self.warmupSteps = warmupSteps
    self.totalSteps = totalSteps
  }

  /// The rate of the update that follows `step` earlier ones.
  public func rate(step: Int) -> Double {
    if step < warmupSteps { return peak * Double(step) / Double(warmupSteps) }
    switch shape {
    case .linear: return peak * max(0, 1 - Double(step) / Double(totalSteps))
    case .cosine:
      guard totalSteps > warmupSteps else { return peak }
      let progress = min(1, Double(step - warmupSteps) / Double(totalSteps - warmupSteps))
      return peak * 0.5 * (1 + PortableMath.cosineAndSine(turns: progress / 2).cosine)
    case .constant: return peak
    }
  }
}
