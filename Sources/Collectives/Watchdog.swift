#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif
import Synchronization
import SystemSupport

/// Ends a run that has come to a standstill. MPI's collective calls have no time limit: when a host vanishes, freezes or loses
/// its network, the other ranks would wait for it for ever, and keep their cores and the allocation.
///
/// Every rank has one: a thread that sends heartbeats to rank 0 by UDP, and gets rank 0's. When no rank has made progress
/// (`Progress`) for the limit, rank 0 says which one is to blame in one line and leaves with exit code 70, upon which mpirun
/// ends the rest; when rank 0 itself is silent, another rank does so. Where datagrams do not come through (a firewall), each
/// rank still sees its own standstill.
///
/// Time in which the watchdog itself was stopped (Ctrl-Z, a suspended machine) does not count.
public final class Watchdog: Sendable {
  private let isOver = Atomic<Bool>(false)

  /// Collective. Watches until `stop`. `isEnding`: whether the run is being ended anyhow, so that there is nothing to add.
  public init(
    _ progress: Progress, limit: Double, communicator: any Communicator, isEnding: @escaping @Sendable () -> Bool
  ) throws(Failure) {
    let socket: HeartbeatSocket = try communicator.onEveryRank { () throws(Failure) in try HeartbeatSocket() }
    let names = try communicator.gather(Array(communicator.hostName.utf8))
    let hosts = try communicator.broadcastText(
      names.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "\n")
    ).split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    var generator = SystemRandomNumberGenerator()
    // Not a number that any result depends on.
    let run = try communicator.broadcastArray([generator.next() as UInt64])[0]
    let addresses = try communicator.broadcastArray(socket.addresses())
    let watch = Watch(
      progress: progress, socket: socket, run: run, addresses: communicator.rank == 0 ? [] : addresses,
      judgement: StallJudgement(limit: limit, hosts: hosts, rank: communicator.rank), isEnding: isEnding)
    try communicator.onEveryRank { () throws(Failure) in
      let argument = Unmanaged.passRetained(ThreadArgument(watchdog: self, watch: watch))
      var thread = pthread_t()
      let code = pthread_create(
        &thread, nil,
        { pointer in
          guard let pointer else { return nil }
          let argument = Unmanaged<ThreadArgument>.fromOpaque(pointer).takeRetainedValue()
          while !argument.watchdog.isOver.load(ordering: .relaxed) { argument.watch.beat() }
          return nil
        }, argument.toOpaque())
      if code != 0 {
        argument.release()
        throw Failure(.internalFault, "the watchdog's thread cannot be started: \(String(cString: strerror(code)))")
      }
      pthread_detach(thread)
    }
  }

  /// The run is over, or will be waited for by other means.
  public func stop() { isOver.store(true, ordering: .relaxed) }
}

private final class ThreadArgument {
  let watchdog: Watchdog
  let watch: Watch

  init(watchdog: Watchdog, watch: Watch) {
    self.watchdog = watchdog
    self.watch = watch
  }
}

/// What the watchdog's thread has; nobody else touches it.
private final class Watch {
  private let progress: Progress
  private let socket: HeartbeatSocket
  private let run: UInt64
  /// Of rank 0; all of them until one has answered.
  private var addresses: [HeartbeatSocket.Address]
  private var judgement: StallJudgement
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
    progress: Progress, socket: HeartbeatSocket, run: UInt64, addresses: [HeartbeatSocket.Address],
    judgement: StallJudgement, isEnding: @escaping @Sendable () -> Bool
  ) {
    self.progress = progress
    self.socket = socket
    self.run = run
    self.addresses = addresses
    self.judgement = judgement
    self.isEnding = isEnding
    period = min(1, judgement.limit / 10)
    last = clock.now
  }

  /// One period, or less when something arrives.
  func beat() {
    var own = Heartbeat()
    own.run = run
    own.rank = UInt32(judgement.rank)
    own.snapshot = progress.snapshot
    judgement.hear(own.snapshot, from: judgement.rank, at: time)
    if time >= nextBeat {
      for address in addresses { socket.send(own, to: address) }
      nextBeat = time + period
    }
    socket.wait(period)
    let now = clock.now
    time += min((now - last) / .seconds(1), 3 * period)
    last = now
    while let (heartbeat, sender) = socket.receive(ofRun: run) {
      guard let rank = Int(exactly: heartbeat.rank), judgement.ranks.indices.contains(rank) else { continue }
      judgement.hear(heartbeat.snapshot, from: rank, at: time)
      if judgement.rank == 0 { socket.send(own, to: sender) } else { addresses = [sender] }
    }
    if let verdict = judgement.verdict(at: time) { leave(verdict) }
    let misses = judgement.missesRankZero(at: time)
    if misses && !hasMissed { LauncherEnd.enforce(within: 10, patience: Int(judgement.limit) + 10) }
    hasMissed = misses
  }

  private func leave(_ verdict: String) -> Never {
    if !isEnding() {
      let next = progress.savedStep.map { "it goes on from the checkpoint of step \($0)" } ?? "it begins anew, as there is no checkpoint yet"
      printError(
        "error: \(verdict). The run is at a standstill and ends (stall_timeout). See to that host, or leave it out, and run the "
          + "same command again: \(next).")
    }
    if judgement.ranks.count > 1 { LauncherEnd.enforce(within: 10) }
    // The main thread is inside a call that does not return.
    _exit(ExitCode.internalFault.rawValue)
  }
}
