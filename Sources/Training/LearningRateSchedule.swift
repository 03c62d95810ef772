import SystemSupport

/// The learning rate of each step: a linear rise over the warm-up steps, then what `shape` says. Steps count from 0, so with a
/// warm-up the first update has rate 0: it moves the moments and not the parameters, as in the original.
public struct LearningRateSchedule: Sendable, Equatable {
  /// How the rate falls after the warm-up.
  public enum Shape: String, Sendable, CaseIterable {
    /// The original's: a linear decay to 0 at the last step, which counts from step 0 and so begins a little below the peak.
    case linear
    /// Half a cosine from the peak, at the end of the warm-up, to 0 at the last step (Loshchilov and Hutter 2017).
    case cosine
    case constant
  }

  /// How it falls.
  public let shape: Shape
  /// The highest rate.
  public let peak: Double
  /// Updates over which it rises.
  public let warmupSteps: Int
  /// Updates after which it is zero, or stays.
  public let totalSteps: Int

  /// A schedule of so many updates.
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

  /// Found: models of 32 to 256 hidden units train up to here. One of 256 learnt nothing but popularity at 0.0096 (MovieLens-100K), one of
  /// 32 at 0.031 (the demo).
  public static let safeEffectiveRate = 0.008

  /// The largest effective rate, and the update (from 1) that has it. Without bias correction the first updates of Adam, where
  /// gradients agree, are (1 - 0.9^t) / sqrt(1 - 0.999^t) times the rate: 6.5 times at the update t = 11, 3.2 times at 100, 1.3 times at 1,000.
  public var effectivePeak: (rate: Double, step: Int) {
    var largest = (rate: 0.0, step: 1)
    func see(_ rate: Double, _ step: Int) { if rate > largest.rate { largest = (rate, step) } }
    var (first, second) = (1.0, 1.0)
    // Further on the factor is 1 to nine digits.
    let corrected = 20_000
    for step in 0..<min(totalSteps, corrected) {
      first *= 0.9
      second *= 0.999
      see(rate(step: step) * (1 - first) / (1 - second).squareRoot(), step + 1)
    }
    if totalSteps > corrected {
      // The rate is highest at the end of the warm-up, or where it falls from the beginning.
      for step in [warmupSteps - 1, warmupSteps] {
        let step = min(max(step, corrected), totalSteps - 1)
        see(rate(step: step), step + 1)
      }
    }
    return largest
  }
}
