import Glibc
import Synchronization

/// How a program shows what it is doing.
package enum ProgressMode: String, Sendable, CaseIterable {
  /// `bar` on a terminal, `plain` elsewhere, under mpirun and under Slurm.
  case auto
  /// One line at the bottom of the terminal, drawn again and again.
  case bar
  /// A line every ten seconds.
  case plain
  case none

  /// What `auto` is in this process.
  package var here: ProgressMode { resolved(isTerminal: isatty(STDERR_FILENO) == 1) { getenv($0).map { String(cString: $0) } } }

  /// The same of any process.
  package func resolved(isTerminal: Bool, environment: (String) -> String?) -> ProgressMode {
    guard self == .auto else { return self }
    let launched = ["OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "SLURM_JOB_ID"].contains { environment($0) != nil }
    let terminal = environment("TERM") ?? ""
    return isTerminal && !launched && !terminal.isEmpty && terminal != "dumb" ? .bar : .plain
  }
}

/// When which line is shown.
package struct ProgressPace {
  package enum Output: Equatable {
    case nothing
    /// No status, where there was one.
    case noStatus
    /// At the bottom of the terminal, in the place of the one before.
    case status(String)
    case line(String)
  }

  /// Longest silence between two lines.
  package static let interval = Duration.seconds(10)

  private let mode: ProgressMode
  private var lastLine: ContinuousClock.Instant

  package init(_ mode: ProgressMode, now: ContinuousClock.Instant) { (self.mode, lastLine) = (mode, now) }

  /// What is to be shown now. `printed`: when anything else was printed last.
  package mutating func next(
    now: ContinuousClock.Instant, activity: (any Activity.Describing)?, printed: ContinuousClock.Instant?
  ) -> Output {
    guard let activity else { return mode == .bar ? .noStatus : .nothing }
    switch mode {
    case .bar: return .status(activity.text(now: now))
    case .plain:
      if let printed, printed > lastLine { lastLine = printed }
      if now - lastLine < Self.interval { return .nothing }
      lastLine = now
      return .line(activity.text(now: now))
    case .auto, .none: return .nothing
    }
  }
}

/// Shows on standard error what `Activity` says, by a thread of its own, until it is told to stop. One per process; on one rank.
package final class ProgressDisplay: Sendable {
  private let isStopped = Atomic<Bool>(false)
  package let mode: ProgressMode

  /// Starts the display; with `none` there is nothing to start.
  package init(_ mode: ProgressMode) {
    let mode = mode.here
    self.mode = mode
    if mode == .none { return }
    // Without it the work is the same.
    _ = startDetachedThread { self.run() }
  }

  /// Nothing is shown any more.
  package func stop() {
    isStopped.store(true, ordering: .sequentiallyConsistent)
    StandardError.wipeStatus()
  }

  private func run() {
    var pace = ProgressPace(mode, now: ContinuousClock.now)
    while true {
      usleep(mode == .bar ? 200_000 : 500_000)
      if isStopped.load(ordering: .sequentiallyConsistent) { return }
      switch pace.next(now: ContinuousClock.now, activity: Activity.current, printed: StandardError.lastLine) {
      case .nothing: break
      case .noStatus: StandardError.wipeStatus()
      case .status(let text):
        StandardError.draw(status: Self.fitting(text)) { !isStopped.load(ordering: .sequentiallyConsistent) }
      case .line(let text): StandardError.writeUnwatched(line: text)
      }
    }
  }

  /// As much as the terminal's width takes: a line that is broken could not be drawn over.
  private static func fitting(_ text: String) -> String {
    var size = winsize()
    let columns = ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 ? Int(size.ws_col) : 80
    return text.count < columns ? text : String(text.prefix(max(0, columns - 1)))
  }
}
