/// Seconds of training over all starts of a run: those that its checkpoint records, and those since this process opened it.
struct TrainedTime {
  private let clock = ContinuousClock()
  private let start: ContinuousClock.Instant
  private var earlier = 0.0

  init() { start = clock.now }

  mutating func resume(after seconds: Double) { earlier = seconds }

  var seconds: Double { earlier + (clock.now - start) / .seconds(1) }
}
