import Glibc

/// Signals that ask something of a run: USR1 (what a launcher sends before the time is over), TERM, INT and HUP (a terminal or an ssh
/// session that is lost) to save and stop, USR2 to save and go on. A handler only leaves a mark; the ranks agree at the end of the
/// step. A second INT stops at once.
enum StopSignals {
  // Written by signal handlers: plain words, read at step boundaries.
  nonisolated(unsafe) private static let stop = UnsafeMutablePointer<sig_atomic_t>.allocate(capacity: 1)
  nonisolated(unsafe) private static let terminate = UnsafeMutablePointer<sig_atomic_t>.allocate(capacity: 1)
  nonisolated(unsafe) private static let saves = UnsafeMutablePointer<sig_atomic_t>.allocate(capacity: 1)

  static func install() {
    for word in [stop, terminate, saves] { word.pointee = 0 }
    let signals = [SIGUSR1, SIGTERM, SIGINT, SIGHUP, SIGUSR2]
    // With the terminal goes whoever read what is printed here, and to write then must not be the end before all is saved.
    signal(SIGPIPE, SIG_IGN)
    for number in signals where !(number == SIGHUP && isIgnored(number)) {
      var action = sigaction()
      action.__sigaction_handler.sa_handler = { number in
        switch number {
        case SIGUSR2: StopSignals.saves.pointee = 1
        case SIGINT where StopSignals.stop.pointee != 0: _exit(128 + SIGINT)
        default:
          if number == SIGTERM { StopSignals.terminate.pointee = 1 }
          StopSignals.stop.pointee = 1
        }
      }
      action.sa_flags = Int32(SA_RESTART)
      sigaction(number, &action, nil)
    }
    // Whoever started the program may have blocked them.
    var set = sigset_t()
    sigemptyset(&set)
    for number in signals { sigaddset(&set, number) }
    pthread_sigmask(SIG_UNBLOCK, &set, nil)
  }

  /// As nohup leaves HUP, for a run that is to outlive the terminal.
  private static func isIgnored(_ number: Int32) -> Bool {
    var action = sigaction()
    sigaction(number, nil, &action)
    // SIG_IGN is the address 1, which the importer does not compare.
    return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
  }

  static var isStopRequested: Bool { stop.pointee != 0 }

  /// Whether TERM has come, which mpirun sends to the ranks that it is about to kill.
  static var isTerminated: Bool { terminate.pointee != 0 }

  /// Whether a checkpoint was asked for since the last call.
  static func takeSaveRequest() -> Bool {
    // A signal between the two lines is served by the same checkpoint.
    guard saves.pointee != 0 else { return false }
    saves.pointee = 0
    return true
  }
}
