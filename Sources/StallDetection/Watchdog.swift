import Communication
import Glibc
import Synchronization
import SystemSupport

/// Ends a run that has come to a standstill. MPI's collective calls have no time limit: when a host vanishes, freezes or loses
/// its network, the other ranks would wait for it for ever, and keep their cores and the allocation.
///
/// Every rank has one: a thread that sends heartbeats to rank 0 by UDP, and gets rank 0's. When no rank has made progress
/// (`RankProgress`) for the limit, rank 0 names the one that stalled in one line and leaves with exit code 70, upon which mpirun
/// ends the rest; when rank 0 itself is silent, another rank does so. Where datagrams do not come through (a firewall), each
/// rank still sees its own standstill.
///
/// Time in which the watchdog itself was stopped (Ctrl-Z, a suspended machine) does not count, nor time in which the process waits for
/// somebody outside (`Liveness.outside`).
package final class Watchdog: Sendable, LeaveTakingWatch {
  private let progress: RankProgress
  private let isOver = Atomic<Bool>(false)
  private let isPaused = Atomic<Bool>(false)

  /// Watches until `stop`, and stops the communicator's earlier one.
  ///
  /// - Parameters:
  ///   - limit: seconds without progress.
  ///   - resumes: whether the same command resumes from a checkpoint, as messages say.
  ///   - isEnding: whether the run is being ended anyhow, so that there is nothing to add.
  package init(
    _ progress: RankProgress, limit: Double, communicator: any Communicator, resumes: Bool = true,
    isEnding: @escaping @Sendable () -> Bool = { false }
  ) throws(CollectiveFailure) {
    self.progress = progress
    communicator.watch?.stop()
    let socket: HeartbeatSocket = try communicator.onEveryRank { () throws(ProgramFailure) in try HeartbeatSocket() }
    var generator = SystemRandomNumberGenerator()
    // Not numbers that any result depends on.
    let key = try communicator.broadcast([generator.next() as UInt64, generator.next()])
    var addresses = try communicator.broadcast(socket.addresses())
    let hosts = communicator.hosts
    if hosts[communicator.rank] != hosts[0] { addresses.removeAll(where: \.isLoopback) }
    let watch = Watch(
      progress: progress, socket: socket,
      seal: HeartbeatSeal(rank: communicator.rank, of: communicator.size, key: key),
      addresses: communicator.rank == 0 ? [] : addresses,
      judgement: StallJudgement(limit: limit, hosts: hosts, rank: communicator.rank), resumes: resumes, isEnding: isEnding)
    try communicator.onEveryRank { () throws(ProgramFailure) in
      let code = startDetachedThread { self.run(watch) }
      if code != 0 {
        throw ProgramFailure(.internalFault, "the watchdog's thread cannot be started: \(String(cString: strerror(code)))")
      }
    }
    communicator.watch = self
  }

  private func run(_ watch: Watch) {
    while !isOver.load(ordering: .relaxed) {
      if isPaused.load(ordering: .relaxed) || Liveness.isOutside { progress.tick() }
      watch.beat()
    }
  }

  /// What follows is not this run's: its time does not count until the ranks take leave of each other.
  package func pause() { isPaused.store(true, ordering: .relaxed) }

  package func leaveTakingBegins() {
    progress.enter(.end)
    isPaused.store(false, ordering: .relaxed)
  }

  package func stop() { isOver.store(true, ordering: .relaxed) }
}

/// What the watchdog's thread has; nobody else touches it.
private final class Watch: @unchecked Sendable {
  private let progress: RankProgress
  private let socket: HeartbeatSocket
  private var seal: HeartbeatSeal
  /// Of rank 0; all of them until one has answered.
  private var addresses: [HeartbeatSocket.Address]
  private var judgement: StallJudgement
  private let resumes: Bool
  private let isEnding: @Sendable () -> Bool
  private let period: Double
  private let clock = ContinuousClock()
  private var last: ContinuousClock.Instant
  /// Seconds in which this thread could have seen progress.
  private var time = 0.0
  private var nextBeat = 0.0
  /// Whether rank 0 was missed at the last beat.
  private var hasMissed = false

  init(
    progress: RankProgress, socket: HeartbeatSocket, seal: HeartbeatSeal, addresses: [HeartbeatSocket.Address],
    judgement: StallJudgement, resumes: Bool, isEnding: @escaping @Sendable () -> Bool
  ) {
    self.progress = progress
    self.socket = socket
    self.seal = seal
    self.addresses = addresses
    self.judgement = judgement
    self.resumes = resumes
    self.isEnding = isEnding
    period = min(1, judgement.limit / 10)
    last = clock.now
  }

  /// One period, or less when something arrives.
  func beat() {
    let own = progress.snapshot
    judgement.hear(own, from: judgement.rank, at: time)
    if time >= nextBeat {
      for address in addresses { socket.send(seal.seal(own), to: address) }
      nextBeat = time + period
    }
    socket.wait(period)
    let now = clock.now
    time += min((now - last) / .seconds(1), 3 * period)
    last = now
    while let (heartbeat, sender) = socket.receive(&seal) {
      // Rank 0 hears everybody and answers; the others hear rank 0 alone, which from then on is where they send to.
      guard judgement.rank == 0 || heartbeat.rank == 0 else { continue }
      judgement.hear(heartbeat.snapshot, from: heartbeat.rank, at: time)
      if judgement.rank == 0 { socket.send(seal.seal(own), to: sender) } else { addresses = [sender] }
    }
    if let verdict = judgement.verdict(at: time) { leave(verdict) }
    let misses = judgement.missesRankZero(at: time)
    if misses && !hasMissed { LauncherEnd.enforce(within: 10, patience: Int(judgement.limit) + 10) }
    hasMissed = misses
  }

  private func leave(_ verdict: String) -> Never {
    if !isEnding() {
      let saved =
        progress.savedStep.map { ": it resumes from the checkpoint of step \($0)" }
        ?? ": it starts from the beginning, as there is no checkpoint yet"
      printError(
        "error: \(verdict). The run has made no progress for that long and is aborted (stall_timeout). Check that host, or exclude it, and run the "
          + "same command again\(resumes ? saved : "").")
    }
    if judgement.ranks.count > 1 { LauncherEnd.enforce(within: 10) }
    // The main thread is inside a call that does not return.
    _exit(ProgramExitCode.internalFault.rawValue)
  }
}
