import Synchronization

/// What a watchdog has to know of a process: how much it has got done, and whether it waits for somebody outside. One for the whole
/// process, so that code far below the watchdog can tell it without being handed anything.
package enum Liveness {
  private static let pieces = Atomic<UInt64>(0)
  private static let waits = Atomic<Int>(0)

  /// A piece of long work is done. Never called by a clock, nor by what merely waits: a standstill must stay one.
  package static func tick() { pieces.wrappingAdd(1, ordering: .relaxed) }

  /// Changes with every tick.
  package static var ticks: UInt64 { pieces.load(ordering: .relaxed) }

  /// Runs a call that waits for a person or another program for as long as these like: writing to a terminal or a pipe, reading from
  /// one. That time is no standstill.
  package static func outside<R, E: Error>(_ call: () throws(E) -> R) throws(E) -> R {
    waits.wrappingAdd(1, ordering: .relaxed)
    defer {
      waits.wrappingSubtract(1, ordering: .relaxed)
      tick()
    }
    return try call()
  }

  /// Whether a thread is in such a call now.
  package static var isOutside: Bool { waits.load(ordering: .relaxed) > 0 }
}
