import Glibc
import Synchronization
import SystemSupport

/// Ends a rank whose MPI does not begin. MPI_Init has no time limit: it waits for all ranks of the start, so one that died before it, a host
/// that cannot be reached or a firewall would leave the others waiting for ever; and `Watchdog` begins only after it.
package final class StartWatch: Sendable {
  /// Of the environment: seconds, 0 for no limit.
  package static let variable = "BERT4REC_START_TIMEOUT"
  package static let usualLimit = 300

  private let isOver = Atomic<Bool>(false)

  /// Watches until `end`.
  ///
  /// - Parameters:
  ///   - limit: seconds; time in which the process was stopped does not count.
  ///   - rank: in the launcher's count. Higher ones wait a little longer, so that one speaks for all.
  package init(limit: Int, rank: Int) {
    // Without a thread the start is as it would be without a limit.
    _ = startDetachedThread { self.watch(limit, rank) }
  }

  /// MPI has begun.
  package func end() { isOver.store(true, ordering: .relaxed) }

  private func watch(_ limit: Int, _ rank: Int) {
    for _ in 0..<10 * (limit + 2 * min(rank, 10)) {
      usleep(100_000)
      if isOver.load(ordering: .relaxed) { return }
    }
    printError(
      "error: MPI has not begun within \(limit) s (MPI_Init on host \(currentHostName()), rank \(rank)): another rank or host of this start has "
        + "not come so far. mpirun may have said above what it lost; else look whether all hosts are up and reach each other, without a "
        + "firewall in between (docs/clusters.md), and run the same command again. \(Self.variable)=SECONDS is another limit, 0 none")
    LauncherEnd.enforce(within: 10)
    // The main thread is inside a call that does not return.
    _exit(ProgramExitCode.internalFault.rawValue)
  }
}
