import Glibc

/// Writes a line to standard error in one call, so that lines of several ranks do not mix. Control characters but line
/// ends are escaped: names and ids out of files stand in it.
package func printError(_ line: String) { StandardError.write(line: line) }

/// Writes a line of results to standard output, where a terminal may show a status at the moment.
package func printResult(_ line: String) {
  StandardError.wipeStatus()
  Liveness.outside { print(line) }
}

/// Standard error, whose last line on a terminal may be a status that is drawn over and over in its place.
package enum StandardError {
  private struct State {
    var isStatusDrawn = false
    var lastLine: ContinuousClock.Instant?
  }

  private static let state = Locked(State())
  /// To the line's beginning, and nothing behind it.
  private static let wiping = "\r\u{1B}[K"

  /// When the last whole line was written.
  package static var lastLine: ContinuousClock.Instant? { state.withLock { $0.lastLine } }

  /// Whoever reads it may be slow: that is no standstill.
  static func write(line: String) { Liveness.outside { writeUnwatched(line: line) } }

  /// The same by a clock, whose lines are no sign that anything gets on.
  static func writeUnwatched(line: String) {
    let text = TerminalText.escaped(line, keepsLineEnds: true) + "\n"
    state.withLock { state in
      send((state.isStatusDrawn ? wiping : "") + text)
      (state.isStatusDrawn, state.lastLine) = (false, ContinuousClock.now)
    }
  }

  /// Draws the status over the one before, if it is still wanted; on a terminal alone.
  package static func draw(status: String, if isWanted: () -> Bool) {
    let text = TerminalText.line(status)
    state.withLock { state in
      guard isWanted() else { return }
      send(wiping + text)
      state.isStatusDrawn = true
    }
  }

  /// Removes the status, before something else is written to the same terminal.
  package static func wipeStatus() {
    state.withLock { state in
      if state.isStatusDrawn { send(wiping) }
      state.isStatusDrawn = false
    }
  }

  private static func send(_ text: String) {
    var text = text
    text.withUTF8 { bytes in _ = Glibc.write(STDERR_FILENO, bytes.baseAddress, bytes.count) }
  }
}
