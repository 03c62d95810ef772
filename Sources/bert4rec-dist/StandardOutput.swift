import BERT4RecDist
import Glibc

import enum SystemSupport.StandardError

/// Standard output for results. A reader that has had enough (`| head`) ends it quietly.
struct StandardOutput {
  /// Whether the reader has gone: nobody wants more.
  private(set) var isClosed = false

  /// What a pipe takes without waiting once poll says that it takes something.
  private static let piece = 4096
  /// How long a reader is waited for that does not read, once the program has been asked to end.
  private static let patience: Int32 = 1000

  init() {
    // A closed pipe is then an error of write, not the end of the process.
    signal(SIGPIPE, SIG_IGN)
  }

  /// Writes all of it.
  mutating func write(_ bytes: [UInt8]) throws(ProgramFailure) {
    // The reader may be the same terminal.
    StandardError.wipeStatus()
    var start = 0
    while start < bytes.count && !isClosed { try write(bytes[start...], &start) }
  }

  /// Writes all of it, unless the program is asked to end while nobody reads.
  mutating func writeUntilStopped(_ bytes: [UInt8]) throws(ProgramFailure) {
    StandardError.wipeStatus()
    var start = 0
    while start < bytes.count && !isClosed {
      var waiting = [
        pollfd(fd: STDOUT_FILENO, events: Int16(POLLOUT), revents: 0),
        pollfd(fd: StreamEnd.descriptor, events: Int16(POLLIN), revents: 0),
      ]
      // Once it has been asked to end, that is no news any more.
      let isEnding = StreamEnd.isRequested
      let ready = Liveness.outside { poll(&waiting, isEnding ? 1 : 2, isEnding ? Self.patience : -1) }
      if waiting[0].revents != 0 && ready > 0 {
        try write(bytes[start..<min(start + Self.piece, bytes.count)], &start)
      } else if isEnding && ready == 0 {
        return
      }
    }
  }

  private mutating func write(_ bytes: ArraySlice<UInt8>, _ start: inout Int) throws(ProgramFailure) {
    let count = bytes.withUnsafeBytes { bytes in
      Liveness.outside { Glibc.write(STDOUT_FILENO, bytes.baseAddress, bytes.count) }
    }
    if count >= 0 {
      start += count
    } else if errno == EPIPE {
      isClosed = true
    } else if errno == EAGAIN {
      // Whoever started the program made the pipe so.
      var waiting = pollfd(fd: STDOUT_FILENO, events: Int16(POLLOUT), revents: 0)
      _ = Liveness.outside { poll(&waiting, 1, Self.patience) }
    } else if errno != EINTR {
      throw ProgramFailure(.disk, "cannot write to standard output: \(String(cString: strerror(errno)))")
    }
  }
}
