import Glibc
import SystemSupport

/// The parts that a step's time is told apart into.
public enum Phase: Int, Sendable, CaseIterable {
  /// Making the batch: order, shards, masks.
  case batch
  case embedding
  /// Scores, softmax, context, and their gradients; the projections around them are dense.
  case attention
  /// Projections, feed-forward blocks, LayerNorms.
  case dense
  /// Logits, softmax over the vocabulary, and their gradients.
  case head
  /// Zeroing and adding the gradients of shards.
  case treeSum
  /// Waiting for other threads.
  case threads
  case allreduce
  /// Norm, clipping and Adam.
  case update
}

/// Adds up where the time goes: one per thread, always on (it reads the clock some ten times per block of instances).
public final class PhaseClock: @unchecked Sendable {
  private var nanoseconds = [UInt64](repeating: 0, count: Phase.allCases.count)
  private var current: Phase?
  private var since: UInt64 = 0

  package init() {}

  /// Ends the current phase and begins another; nil: none.
  package func enter(_ phase: Phase?) {
    Liveness.tick()
    let now = Self.now
    if let current { nanoseconds[current.rawValue] += now - since }
    current = phase
    since = now
  }

  package func reset() {
    for index in nanoseconds.indices { nanoseconds[index] = 0 }
  }

  package func seconds(_ phase: Phase) -> Double { Double(nanoseconds[phase.rawValue]) / 1e9 }

  private static var now: UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}
