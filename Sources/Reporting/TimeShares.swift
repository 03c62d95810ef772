/// A run's minutes of training by what they went into, as far as its reports tell.
struct TimeShares {
  static let names = ["own work", "waiting for the slowest rank", "sums over ranks and updates", "validations, checkpoints, reports"]
  /// Minutes, in the order of `names`.
  let parts: [Double]
  let total: Double

  /// Nil where the reports do not say enough.
  init?(_ run: RunRecord) {
    guard let batch = run.settings?.batchSize, let total = run.history.minutes, total > 0 else { return nil }
    var (step, own, waiting, steps) = (0, 0.0, 0.0, 0.0)
    for report in run.history.reports {
      let count = Double(max(0, report.step - step))
      step = max(step, report.step)
      guard let speed = report.instancesPerSecond, speed > 0 else { continue }
      let seconds = count * Double(batch) / speed
      steps += seconds
      let median = min(seconds, count * max(0, report.medianWork ?? 0))
      own += median
      waiting += min(seconds - median, count * max(0, (report.slowestWork ?? 0) - (report.medianWork ?? 0)))
    }
    // A report's speed is that of its last steps; what a damaged line took with it may make all of them more than there were.
    let scale = steps / 60 > total ? total * 60 / steps : 1
    let minutes = [own, waiting, steps - own - waiting].map { max(0, $0) * scale / 60 }
    parts = minutes + [max(0, total - minutes.reduce(0, +))]
    self.total = total
  }
}

/// Seconds per step by phase, over all reports that say it.
struct StepPhases {
  private(set) var means: [(name: String, seconds: Double)] = []

  init(_ run: RunRecord) {
    var (names, sums) = ([String](), [String: Double]())
    var (step, total) = (0, 0.0)
    for report in run.history.reports {
      let count = Double(max(0, report.step - step))
      step = max(step, report.step)
      if report.phases.isEmpty { continue }
      total += count
      for (name, seconds) in report.phases {
        if sums[name] == nil { names.append(name) }
        sums[name, default: 0] += count * max(0, seconds)
      }
    }
    if total > 0 { means = names.map { ($0, (sums[$0] ?? 0) / total) } }
  }

  var total: Double { means.reduce(0) { $0 + $1.seconds } }
}

/// What each rank did, over all reports that say it.
struct RankWork {
  /// Seconds per step by rank; empty where no report says it.
  private(set) var means: [Double] = []
  /// How many reports name a rank as the slowest.
  private(set) var slowest: [Int: Int] = [:]
  private(set) var reportCount = 0
  private var hosts: [Int: String] = [:]

  init(_ run: RunRecord) {
    var (sums, total, step) = ([Double](), 0.0, 0)
    for report in run.history.reports {
      let count = Double(max(0, report.step - step))
      step = max(step, report.step)
      if let rank = report.slowestRank {
        slowest[rank, default: 0] += 1
        reportCount += 1
        if let host = report.slowestHost { hosts[rank] = host }
      }
      if report.work.isEmpty { continue }
      // A run that is resumed on another number of ranks begins anew.
      if report.work.count != sums.count { (sums, total) = ([Double](repeating: 0, count: report.work.count), 0) }
      total += count
      for (rank, seconds) in report.work.enumerated() { sums[rank] += count * seconds }
    }
    if total > 0 && sums.count > 1 { means = sums.map { $0 / total } }
  }

  func name(_ rank: Int) -> String { "rank \(rank)" + (hosts[rank].map { $0.isEmpty ? "" : ", \($0)" } ?? "") }
}
