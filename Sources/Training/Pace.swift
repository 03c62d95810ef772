/// How fast training goes: time in steps alone, without evaluations and checkpoints.
struct Pace {
  private let clock = ContinuousClock()
  private let start: ContinuousClock.Instant
  private var stepStart: ContinuousClock.Instant
  private var (seconds, instances, tokens) = (0.0, 0, 0)

  init() {
    start = clock.now
    stepStart = start
  }

  mutating func begin() { stepStart = clock.now }

  mutating func end(_ result: StepResult, instances: Int) {
    seconds += (clock.now - stepStart) / .seconds(1)
    self.instances += instances
    tokens += result.tokenCount
  }

  /// Instances and tokens per second since the last call.
  mutating func take() -> (instances: Double, tokens: Double) {
    defer { (seconds, instances, tokens) = (0, 0, 0) }
    return seconds > 0 ? (Double(instances) / seconds, Double(tokens) / seconds) : (0, 0)
  }

  /// Seconds since training began in this process.
  var elapsed: Double { (clock.now - start) / .seconds(1) }
}
