import Synchronization

/// Numbered pieces of work for a team of threads: whoever is free takes the next number. For work that stays the same whichever
/// thread does which piece.
package final class WorkQueue: @unchecked Sendable {
  private final class Counter: Sendable {
    let next = Atomic<Int>(0)
  }

  private let counter: Counter
  private let team: ThreadTeam

  /// The thread that calls `run` is number 0.
  package init(threads: Int, _ work: @escaping @Sendable (_ thread: Int, _ piece: Int) -> Void) throws(ProgramFailure) {
    let counter = Counter()
    self.counter = counter
    team = try ThreadTeam(count: threads) { thread, pieces in
      while true {
        let piece = counter.next.wrappingAdd(1, ordering: .relaxed).oldValue
        if piece >= pieces { return }
        work(thread, piece)
      }
    }
  }

  /// Does pieces 0 ..< `pieces` and returns when all are done.
  package func run(pieces: Int) {
    counter.next.store(0, ordering: .relaxed)
    team.run(pieces)
  }

  /// Ends the threads; the queue cannot be used afterwards. Its owner calls it.
  package func stop() { team.stop() }
}
