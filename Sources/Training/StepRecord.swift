import Checkpoints
import Communication
import SystemSupport

/// What every rank tells the others after each step: 64 bytes. From the same records all ranks take the same decision at the same
/// step.
struct StepRecord: PlainValue {
  /// Updates done.
  var step: Int64 = 0
  /// The sum of what this rank asks for: that the run stops (1) or saves (2), as a signal told it, or ends here (4).
  var requests: UInt32 = 0
  private var memoryHolds: UInt32 = 1
  /// Of this rank's own work in the step, without waiting for others.
  var seconds: Double = 0
  private var bitSum: UInt64 = 0
  private var spare: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

  init() {}

  init(step: Int, stops: Bool = false, saves: Bool = false, ends: Bool = false, seconds: Double = 0, check: ReplicaCheck? = nil) {
    self.step = Int64(step)
    requests = (stops ? 1 : 0) | (saves ? 2 : 0) | (ends ? 4 : 0)
    self.seconds = seconds
    guard let check else { return }
    bitSum = check.sum
    memoryHolds = check.memoryHolds ? 1 : 0
  }

  var check: ReplicaCheck { ReplicaCheck(sum: bitSum, memoryHolds: memoryHolds != 0) }
}

/// The exchange of the records. Allocates nothing.
final class StepRecords {
  private let ofAllRanks: RecordExchange<StepRecord>
  private let hosts: [String]
  private var seconds: [Double]
  private var count = 0
  /// The same since the beginning.
  private var (allSeconds, allCount) = ([Double](), 0)

  init(_ communicator: any Communicator) {
    precondition(MemoryLayout<StepRecord>.size == 64)
    ofAllRanks = RecordExchange(communicator, empty: StepRecord())
    hosts = communicator.hosts
    seconds = [Double](repeating: 0, count: communicator.size)
    allSeconds = seconds
  }

  /// What the ranks' records come to.
  struct Decision {
    /// Whether any rank was asked to stop, or to save.
    var stops = false
    var saves = false
    /// Whether the run ends after this step, as if it were the last.
    var ends = false
    /// Whether all replicas are the same, and in order.
    var agrees = true
  }

  /// A rank at another step than the others is a fault that must not go on.
  func exchange(_ record: StepRecord) throws(CollectiveFailure) -> Decision {
    try ofAllRanks(record)
    let all = ofAllRanks.records
    var requests: UInt32 = 0
    var decision = Decision()
    for rank in 0..<all.count {
      if all[rank].step != record.step {
        throw .onEveryRank(
          .internalFault,
          "the ranks are not at the same step (rank 0 has done \(all[0].step), rank \(rank) \(all[rank].step)): "
            + "this is a fault of the program or of the network; start again from the last checkpoint")
      }
      requests |= all[rank].requests
      seconds[rank] += all[rank].seconds
      allSeconds[rank] += all[rank].seconds
      if all[rank].check != all[0].check || !all[rank].check.memoryHolds { decision.agrees = false }
    }
    // What only compares replicas is no step.
    if record.seconds > 0 { (count, allCount) = (count + 1, allCount + 1) }
    (decision.stops, decision.saves, decision.ends) = (requests & 1 != 0, requests & 2 != 0, requests & 4 != 0)
    return decision
  }

  /// What is wrong with the replicas, by the last records.
  var problem: String { ReplicaComparison.problem(ofAllRanks.records.map(\.check), hosts: hosts) ?? "nothing" }

  /// Seconds of own work a step, of the ranks.
  typealias Work = (median: Double, slowest: Double, rank: Int, host: String)

  /// Since the last call. For rank 0.
  func takeWork() -> Work {
    defer {
      for rank in seconds.indices { seconds[rank] = 0 }
      count = 0
    }
    return work(seconds, count)
  }

  /// More ranks than these are told by the median and the slowest alone: lines stay readable.
  private static let mostRanks = 64

  /// Each rank's own, since the last call of `takeWork`, for metrics.jsonl; nothing of one rank.
  var ranksWork: [(key: String, value: MetricValue)] {
    guard (2...Self.mostRanks).contains(seconds.count) else { return [] }
    return seconds.enumerated().map { ("work_seconds/\($0.offset)", .double($0.element / Double(max(1, count)))) }
  }

  /// Since the beginning. For rank 0.
  var allWork: Work { work(allSeconds, allCount) }

  private func work(_ seconds: [Double], _ count: Int) -> Work {
    let means = seconds.map { $0 / Double(max(1, count)) }
    let slowest = means.indices.max { means[$0] < means[$1] } ?? 0
    return (means.sorted()[(means.count - 1) / 2], means[slowest], slowest, hosts[slowest])
  }
}
