import BERT4RecDist
import Glibc

/// Signals that ask a stream to end: TERM, INT, and HUP unless whoever started the program ignores it. A handler writes into a pipe
/// that `poll` watches beside the input, whichever thread it runs on, so that none comes too late to be seen.
enum StreamEnd {
  /// Reading end, writing end. Set before the handlers are.
  nonisolated(unsafe) private static let ends = UnsafeMutablePointer<Int32>.allocate(capacity: 2)

  /// Once in a process.
  static func install() throws(ProgramFailure) {
    guard pipe(ends) == 0 else {
      throw ProgramFailure(.internalFault, "no pipe for signals: \(String(cString: strerror(errno)))")
    }
    // A handler never waits.
    for end in [ends[0], ends[1]] { _ = (fcntl(end, F_SETFD, FD_CLOEXEC), fcntl(end, F_SETFL, O_NONBLOCK)) }
    var set = sigset_t()
    sigemptyset(&set)
    for number in [SIGTERM, SIGINT, SIGHUP] {
      var action = sigaction()
      sigaction(number, nil, &action)
      // SIG_IGN is the address 1, which the importer does not compare.
      let isIgnored = unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
      if number == SIGHUP && isIgnored { continue }
      action = sigaction()
      action.__sigaction_handler.sa_handler = { _ in
        let before = errno
        var byte: UInt8 = 1
        _ = write(StreamEnd.ends[1], &byte, 1)
        errno = before
      }
      sigaction(number, &action, nil)
      sigaddset(&set, number)
    }
    // Whoever started the program may have blocked them.
    pthread_sigmask(SIG_UNBLOCK, &set, nil)
  }

  /// Can be read from, to no purpose, as soon as one has come.
  static var descriptor: Int32 { ends[0] }

  static var isRequested: Bool {
    var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&waiting, 1, 0) > 0
  }
}
