import BERT4RecDist
import Glibc

/// Lines of standard input as they come.
struct LineInput {
  enum Line {
    /// Without its end.
    case text([UInt8])
    /// Longer than `longest`; it is passed over.
    case tooLong
  }

  /// In bytes.
  static let longest = 1 << 22
  private static let blockSize = 1 << 16

  private var buffer: [UInt8] = []
  /// What stands before has been given out.
  private var start = 0
  /// No line ends between `start` and here.
  private var scanned = 0
  /// Within a line that is too long.
  private var isSkipping = false
  private var isAtEnd = false
  private var block = [UInt8](repeating: 0, count: blockSize)

  /// Waits for a line, and gives all that are there then, `limit` at most. None: the input has ended, or the program is asked to.
  mutating func next(atMost limit: Int) throws(ProgramFailure) -> [Line] {
    while !StreamEnd.isRequested {
      let lines = takeLines(limit)
      if !lines.isEmpty || isAtEnd { return lines }
      try fill()
    }
    return []
  }

  private mutating func takeLines(_ limit: Int) -> [Line] {
    var lines: [Line] = []
    while lines.count < limit, let end = buffer[scanned...].firstIndex(of: 0x0A) {
      lines.append(line(endingAt: end))
      start = end + 1
      scanned = start
    }
    if lines.count == limit { return lines }
    scanned = buffer.count
    if isAtEnd, start < buffer.count || isSkipping {
      lines.append(line(endingAt: buffer.count))
      start = buffer.count
    } else if buffer.count - start > Self.longest {
      isSkipping = true
    }
    if isSkipping { start = buffer.count }
    return lines
  }

  private mutating func line(endingAt end: Int) -> Line {
    if isSkipping || end - start > Self.longest {
      isSkipping = false
      return .tooLong
    }
    return .text(Array(buffer[start..<end]))
  }

  /// Waits for more, or for the end.
  private mutating func fill() throws(ProgramFailure) {
    buffer.removeSubrange(..<start)
    scanned -= start
    start = 0
    var waiting = [
      pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0), pollfd(fd: StreamEnd.descriptor, events: Int16(POLLIN), revents: 0),
    ]
    guard Liveness.outside({ poll(&waiting, 2, -1) }) > 0, waiting[0].revents != 0 else { return }
    let count = read(STDIN_FILENO, &block, block.count)
    if count > 0 {
      buffer += block[..<count]
    } else if count == 0 {
      isAtEnd = true
    } else if errno != EINTR && errno != EAGAIN {
      throw ProgramFailure(.unreadable, "cannot read standard input: \(String(cString: strerror(errno)))")
    }
  }
}
