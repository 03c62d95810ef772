/// The original's schedule: a linear rise over the warm-up steps, then the linear decay to 0 that counts from step 0. Steps count
/// from 0, so with a warm-up the first update has rate 0: it moves the moments and not the parameters, as in the original.
public struct LearningRateSchedule: Sendable, Equatable {
  public let peak: Double
  public let warmupSteps: Int
  public let totalSteps: Int

  public init(peak: Double, warmupSteps: Int, totalSteps: Int) {
    self.peak = peak
    self.warmupSteps = warmupSteps
    self.totalSteps = totalSteps
  }

  /// The rate of the update that follows `step` earlier ones.
  public func rate(step: Int) -> Double {
    if step < warmupSteps { return peak * Double(step) / Double(warmupSteps) }
    return peak * max(0, 1 - Double(step) / Double(totalSteps))
  }
}
