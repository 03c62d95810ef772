import Glibc
import SystemSupport

/// A part of a step that its time is told apart into. Whoever times one names it: the encoder's are here, those of a training step in
/// `Training`.
package struct StepPhase: Sendable, Hashable {
  /// As benchmarks print it.
  package let name: String
  /// Where a clock keeps its time; each phase has one of its own, below `limit`.
  let place: Int

  static let limit = 16

  package init(_ name: String, place: Int) {
    precondition((0..<Self.limit).contains(place))
    self.name = name
    self.place = place
  }
}

extension StepPhase {
  package static let embedding = StepPhase("embedding", place: 0)
  /// Scores, softmax, context, and their gradients; the projections around them are dense.
  package static let attention = StepPhase("attention", place: 1)
  /// Projections, feed-forward blocks, LayerNorms.
  package static let dense = StepPhase("dense", place: 2)
  /// Logits, softmax over the vocabulary, and their gradients.
  package static let head = StepPhase("head", place: 3)
}

/// Adds up where the time goes: one per thread, always on (it reads the clock some ten times per block of instances).
package final class PhaseClock: @unchecked Sendable {
  private var nanoseconds = [UInt64](repeating: 0, count: StepPhase.limit)
  /// Its place; nil: no phase.
  private var current: Int?
  private var since: UInt64 = 0

  package init() {}

  /// Ends the current phase and begins another; nil: none.
  package func enter(_ phase: StepPhase?) {
    Liveness.tick()
    let now = Self.now
    if let current { nanoseconds[current] += now - since }
    current = phase?.place
    since = now
  }

  package func reset() {
    for index in nanoseconds.indices { nanoseconds[index] = 0 }
  }

  package func seconds(_ phase: StepPhase) -> Double { Double(nanoseconds[phase.place]) / 1e9 }

  private static var now: UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}
