import Synchronization
import SystemSupport

/// What a rank's main thread is doing: written by it, read by its watchdog. Every rank enters the same phases in the same order,
/// so the rank that has entered the fewest is the one that the others wait for.
package final class RankProgress: Sendable {
  package enum Phase: UInt8, Sendable, CaseIterable {
    case starting, data, loading, rows, gradients, allreduce, update, record, evaluation, checkpoint, comparison, report, recommendation
    case end

    /// For messages: "in phase ...".
    package var name: String {
      switch self {
      case .starting: "start-up"
      case .data: "reading of the data"
      case .loading: "loading of the checkpoint"
      case .rows: "exchange of the table's rows"
      case .gradients: "gradients"
      case .allreduce: "allreduce"
      case .update: "update"
      case .record: "exchange of the step's record"
      case .evaluation: "evaluation"
      case .checkpoint: "checkpoint"
      case .comparison: "comparison of the replicas"
      case .report: "report"
      case .recommendation: "recommendation"
      case .end: "end of the run"
      }
    }
  }

  /// At one moment, as far as separate words can be.
  package struct Snapshot: Sendable, Equatable, BitwiseCopyable {
    package var phase: UInt8 = 0
    /// Updates that all ranks have done.
    package var step: Int64 = 0
    /// Phases entered.
    package var phases: UInt64 = 0
    /// Changes with every sign of life, also within a phase.
    package var ticks: UInt64 = 0

    package init() {}

    var phaseName: String { Phase(rawValue: phase)?.name ?? "unknown" }
  }

  private let phase = Atomic<UInt8>(0)
  private let step = Atomic<Int64>(0)
  private let phases = Atomic<UInt64>(0)
  private let ticks = Atomic<UInt64>(0)
  private let saved = Atomic<Int64>(-1)

  package init() {}

  package func enter(_ new: Phase) {
    phase.store(new.rawValue, ordering: .relaxed)
    phases.wrappingAdd(1, ordering: .relaxed)
    ticks.wrappingAdd(1, ordering: .relaxed)
  }

  /// A part of a long phase is done.
  package func tick() { ticks.wrappingAdd(1, ordering: .relaxed) }

  /// All ranks have done this many updates.
  package func finished(step new: Int) { step.store(Int64(new), ordering: .relaxed) }

  /// Step of the checkpoint that a restart would begin from; nil before there is one.
  package var savedStep: Int? {
    get {
      let step = saved.load(ordering: .relaxed)
      return step < 0 ? nil : Int(step)
    }
    set { saved.store(newValue.map(Int64.init) ?? -1, ordering: .relaxed) }
  }

  package var snapshot: Snapshot {
    var snapshot = Snapshot()
    snapshot.phase = phase.load(ordering: .relaxed)
    snapshot.step = step.load(ordering: .relaxed)
    snapshot.phases = phases.load(ordering: .relaxed)
    snapshot.ticks = ticks.load(ordering: .relaxed) &+ Liveness.ticks
    return snapshot
  }
}
