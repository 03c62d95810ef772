#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Signals that ask a run to save and stop: USR1 (what a launcher sends before the time is over), TERM and INT. A handler only
/// sets a flag; the ranks agree at the end of the step. A second INT stops at once.
enum StopSignals {
  // Written by signal handlers: a plain word, read at step boundaries.
  nonisolated(unsafe) private static let flags = UnsafeMutablePointer<sig_atomic_t>.allocate(capacity: 1)

  static func install() {
    flags.pointee = 0
    for number in [SIGUSR1, SIGTERM, SIGINT] {
      var action = sigaction()
      action.__sigaction_handler.sa_handler = { number in
        if number == SIGINT && StopSignals.flags.pointee != 0 { _exit(128 + SIGINT) }
        StopSignals.flags.pointee = 1
      }
      action.sa_flags = Int32(SA_RESTART)
      sigaction(number, &action, nil)
    }
    // Whoever started the program may have blocked them.
    var signals = sigset_t()
    sigemptyset(&signals)
    for number in [SIGUSR1, SIGTERM, SIGINT] { sigaddset(&signals, number) }
    pthread_sigmask(SIG_UNBLOCK, &signals, nil)
  }

  static var isRequested: Bool { flags.pointee != 0 }
}
