import BERT4RecModel
import Checkpoints

/// How fast training goes: time in steps alone, without evaluations and checkpoints.
struct Pace {
  private let clock = ContinuousClock()
  private let start: ContinuousClock.Instant
  private var stepStart: ContinuousClock.Instant
  private var (seconds, instances, tokens) = (0.0, 0, 0)
  /// Seconds of the last step.
  private(set) var lastStep = 0.0

  init() {
    start = clock.now
    stepStart = start
  }

  mutating func begin() { stepStart = clock.now }

  mutating func end(_ result: StepResult, instances: Int) {
    lastStep = (clock.now - stepStart) / .seconds(1)
    seconds += lastStep
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

/// Where a step's time goes, from report to report.
struct PhaseTimes {
  private var before = [Double](repeating: 0, count: StepPhase.all.count)
  private var step: Int

  init(step: Int) { self.step = step }

  /// Seconds per step since the last call by phase, for metrics.jsonl.
  mutating func take(_ clock: PhaseClock, step new: Int) -> [(key: String, value: MetricValue)] {
    let now = StepPhase.all.map { clock.seconds($0) }
    let steps = Double(max(1, new - step))
    defer { (before, step) = (now, new) }
    return StepPhase.all.indices.map { index in
      ("phase/\(StepPhase.all[index].keyName)", .double((now[index] - before[index]) / steps))
    }
  }
}

extension StepPhase {
  /// As metrics.jsonl has it.
  fileprivate var keyName: String { self == .treeSum ? "tree_sum" : name }
}
