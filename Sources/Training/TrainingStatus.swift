import SystemSupport

/// How training is getting on, for whoever looks: written after each step, read at any time by any thread. Writing allocates nothing.
package final class TrainingStatus: Activity.Describing {
  private struct Values {
    var step: Int
    var epoch = 0
    var loss = Double.nan
    /// Seconds per step, of the newest steps the most.
    var pace = 0.0
    /// Of the newest validation.
    var metric: Double?
  }

  private let total, batchSize: Int
  private let metricName: String
  /// Updates that were done when this process began, and when that was.
  private let first: Int
  private let began: ContinuousClock.Instant
  /// Seconds from `began` after which the run ends in any case.
  private let limit: Double
  private let values: Locked<Values>
  private static let smoothing = 0.05

  package init(_ configuration: RunConfiguration, step: Int, secondsLeft limit: Double = .infinity, began: ContinuousClock.Instant) {
    total = configuration.trainingSteps
    batchSize = configuration.batchSize
    metricName = configuration.monitor
    (first, self.began, self.limit) = (step, began, limit)
    values = Locked(Values(step: step))
  }

  /// `step`: updates done; `seconds`: of the last one.
  package func update(_ result: StepResult, step: Int, seconds: Double) {
    values.withLock { values in
      (values.step, values.epoch, values.loss) = (step, result.epoch, result.loss)
      values.pace = values.pace == 0 ? seconds : values.pace + Self.smoothing * (seconds - values.pace)
    }
  }

  package func validated(_ metric: Double?) { values.withLock { $0.metric = metric } }

  package func text(now: ContinuousClock.Instant) -> String {
    let values = values.withLock { $0 }
    if values.step == first { return "step \(values.step + 1)/\(total) is under way" }
    var parts = ["step \(values.step)/\(total)", "epoch \(values.epoch)", "loss \(DecimalText.rounded(values.loss, 4))"]
    if values.pace > 0 { parts.append("\(Int((Double(batchSize) / values.pace).rounded())) instances/s") }
    if let left = secondsLeft(values.step, now: now) { parts.append("\(DurationText.words(left)) left") }
    if let metric = values.metric { parts.append("\(metricName) \(DecimalText.rounded(metric, 4))") }
    return parts.joined(separator: "  ")
  }

  /// By all that this process has done so far, validations and checkpoints included.
  private func secondsLeft(_ step: Int, now: ContinuousClock.Instant) -> Double? {
    let seconds = (now - began) / .seconds(1)
    guard step > first, step < total else { return nil }
    return max(0, min(seconds / Double(step - first) * Double(total - step), limit - seconds))
  }
}

/// When a line is due.
package struct LineClock {
  private let interval: Duration
  private var last: ContinuousClock.Instant

  package init(every interval: Duration, now: ContinuousClock.Instant) { (self.interval, last) = (interval, now) }

  /// Whether the interval is over; then the next one begins.
  package mutating func isDue(_ now: ContinuousClock.Instant) -> Bool {
    guard now - last >= interval else { return false }
    last = now
    return true
  }
}
