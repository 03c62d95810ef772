import Checkpoints
import SystemSupport

/// What a run's metrics.jsonl says, as far as it can be read: lines that are damaged are left out and told.
package struct MetricsHistory: Sendable {
  /// A report of training. Nil is what a line does not say, or says with a number that is not finite.
  package struct Report: Sendable {
    package let step: Int
    /// Minutes of training since the run began, over all its starts.
    package let minutes: Double?
    package let loss, learningRate, gradientNorm, instancesPerSecond: Double?
    /// Seconds per step of a rank's own work.
    package let medianWork, slowestWork: Double?
    package let slowestRank: Int?
    package let slowestHost: String?
    /// The same of each rank; empty where the line does not say it.
    package let work: [Double]
    /// Seconds per step by phase, of rank 0's first thread.
    package let phases: [(name: String, seconds: Double)]
  }

  package struct Evaluation: Sendable {
    package let step: Int
    package let minutes: Double?
    package let split: String
    package let users: Int?
    /// Of how many users those are a sample.
    package let usersOf: Int?
    /// In the line's order.
    package let metrics: [(key: String, value: Double)]

    package func value(_ key: String) -> Double? { metrics.first { $0.key == key }?.value }
  }

  /// A line that was left out.
  package struct Damage: Sendable {
    /// From 1.
    package let line: Int
    package let reason: String
  }

  package private(set) var reports: [Report] = []
  package private(set) var evaluations: [Evaluation] = []
  package private(set) var damage: [Damage] = []

  package init() {}

  /// Exit code 66 where the file cannot be read.
  package init(reading path: String) throws(ProgramFailure) { self.init(parsing: try FileSystem.read(path)) }

  package init(parsing bytes: [UInt8]) {
    var time = TrainingTime()
    var number = 0
    for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
      number += 1
      let isLast = line.endIndex == bytes.endIndex
      // After the last line's end there is nothing.
      if isLast && line.isEmpty { continue }
      do throws(JSONError) {
        let json = try JSON.parse(Array(line))
        guard let step = json["step"]?.int, step >= 0 else {
          damage.append(Damage(line: number, reason: "it does not say its step"))
          continue
        }
        if json["split"] != nil {
          evaluations.append(Evaluation(json, step: step, minutes: time.minutes))
        } else {
          time.advance(to: json.finite("seconds"))
          reports.append(Report(json, step: step, minutes: time.minutes))
        }
      } catch {
        damage.append(Damage(line: number, reason: isLast ? "it has no end: the run is going on, or was killed" : error.description))
      }
    }
  }

  /// Evaluations of a split, in order of steps.
  package func evaluations(of split: String) -> [Evaluation] {
    evaluations.filter { $0.split == split }.sorted { $0.step < $1.step }
  }

  package var lastStep: Int? { (reports.map(\.step) + evaluations.map(\.step)).max() }

  package var minutes: Double? { reports.last { $0.minutes != nil }?.minutes }
}

/// Reports count the seconds of their start of the program alone: where they fall, the run has been resumed.
private struct TrainingTime {
  private var earlier = 0.0
  private var seconds: Double?

  mutating func advance(to new: Double?) {
    guard let new, new >= 0 else { return }
    if let seconds, new < seconds { earlier += seconds }
    seconds = new
  }

  var minutes: Double? { seconds.map { (earlier + $0) / 60 } }
}

extension MetricsHistory.Report {
  fileprivate init(_ json: JSON, step: Int, minutes: Double?) {
    self.step = step
    self.minutes = minutes
    loss = json.finite("loss")
    learningRate = json.finite("learning_rate")
    gradientNorm = json.finite("gradient_norm")
    instancesPerSecond = json.finite("instances_per_s")
    medianWork = json.finite("work_seconds_median")
    slowestWork = json.finite("work_seconds_slowest")
    slowestRank = json["slowest_rank"]?.int
    slowestHost = json["slowest_host"]?.string
    let members = json.members ?? []
    func values(_ prefix: String) -> [(name: String, seconds: Double)] {
      members.compactMap { member in
        guard member.key.hasPrefix(prefix), let value = member.value.finite else { return nil }
        return (String(member.key.dropFirst(prefix.count)), value)
      }
    }
    // Rank k at k, or none at all.
    let ranks = values("work_seconds/")
    work = ranks.enumerated().allSatisfy { Int($0.element.name) == $0.offset } ? ranks.map(\.seconds) : []
    phases = values("phase/")
  }
}

extension MetricsHistory.Evaluation {
  fileprivate init(_ json: JSON, step: Int, minutes: Double?) {
    self.step = step
    self.minutes = minutes
    split = json["split"]?.string ?? ""
    users = json["users"]?.int
    usersOf = json["users_of"]?.int
    let others: Set = ["step", "split", "users", "users_of"]
    metrics = (json.members ?? []).compactMap { member in
      guard !others.contains(member.key), let value = member.value.finite else { return nil }
      return (member.key, value)
    }
  }
}

extension JSON {
  /// JSON has numbers that are too large for a Double; larger ones than these are no measurement either.
  fileprivate var finite: Double? { double.flatMap { $0.magnitude < 1e100 ? $0 : nil } }

  fileprivate func finite(_ key: String) -> Double? { self[key]?.finite }
}
