import SystemSupport
import Testing

@Suite struct ProgressDisplayTests {
  private final class Work: Activity.Describing {
    func text(now: ContinuousClock.Instant) -> String { "working" }
  }

  private let start = ContinuousClock.now

  @Test func neverMoreThanTenSecondsOfSilence() {
    var pace = ProgressPace(.plain, now: start)
    var lines: [Int] = []
    for half in 0..<80 {
      let now = start + .milliseconds(500 * half)
      // Something else is printed after 13 s.
      let printed = half >= 26 ? start + .seconds(13) : nil
      if pace.next(now: now, activity: Work(), printed: printed) != .nothing { lines.append(half) }
    }
    #expect(lines == [20, 46, 66])
    #expect(pace.next(now: start + .seconds(100), activity: nil, printed: nil) == .nothing)
    #expect(pace.next(now: start + .seconds(100), activity: Work(), printed: nil) == .line("working"))
  }

  @Test func aBarIsDrawnEachTimeAndGoesWithTheWork() {
    var pace = ProgressPace(.bar, now: start)
    for _ in 0..<3 { #expect(pace.next(now: start, activity: Work(), printed: start) == .status("working")) }
    #expect(pace.next(now: start, activity: nil, printed: start) == .noStatus)
  }

  @Test func noneShowsNothing() {
    var pace = ProgressPace(.none, now: start)
    #expect(pace.next(now: start + .seconds(1000), activity: Work(), printed: nil) == .nothing)
  }

  @Test(arguments: [
    (true, ["TERM": "xterm"], ProgressMode.bar), (false, ["TERM": "xterm"], .plain), (true, [:], .plain), (true, ["TERM": "dumb"], .plain),
    (true, ["TERM": "xterm", "OMPI_COMM_WORLD_SIZE": "1"], .plain), (true, ["TERM": "xterm", "SLURM_JOB_ID": "7"], .plain),
  ])
  func autoIsABarOnATerminalAlone(isTerminal: Bool, environment: [String: String], mode: ProgressMode) {
    #expect(ProgressMode.auto.resolved(isTerminal: isTerminal) { environment[$0] } == mode)
    for asked in [ProgressMode.bar, .plain, .none] {
      #expect(asked.resolved(isTerminal: isTerminal) { environment[$0] } == asked)
    }
  }

  @Test func workSaysItsShareAndTheTimeLeft() {
    let share = WorkShare("reading a", total: 1000, began: start)
    #expect(share.text(now: start + .seconds(3)) == "reading a: 3 s so far")
    share.advance(by: 250)
    #expect(share.text(now: start + .seconds(30)) == "reading a: 25 %, 90 s left")
    share.advance(by: 2000)
    #expect(share.text(now: start + .seconds(40)) == "reading a: 100 %, 0 s left")
    #expect(WorkShare("b", total: 0, began: start).text(now: start + .seconds(61)) == "b: 61 s so far")
  }

  @Test(
    arguments: [
      (0.4, "0 s"), (99, "99 s"), (100, "1 min 40 s"), (597, "10 min"), (1830, "31 min"), (7300, "2 h 2 min"), (200_000, "2 days 8 h"),
      (.infinity, "a long time"), (-5, "0 s"),
    ] as [(Double, String)]) func durations(seconds: Double, words: String)
  { #expect(DurationText.words(seconds) == words) }

  /// Not beside each other: the process has one activity.
  @Test func activitiesNest() {
    Activity.during("outer", of: 10) {
      let outer = Activity.current
      Activity.during("inner") { #expect(Activity.current !== outer) }
      Activity.advance(by: 5)
      #expect(Activity.current === outer)
      #expect(outer?.text(now: ContinuousClock.now) == "outer: 50 %")
    }
  }
}
