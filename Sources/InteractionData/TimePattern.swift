import SystemSupport

/// How times are written, in the letters of C's `strptime`: `%d/%m/%Y %H:%M`.
public struct TimePattern: Sendable, Equatable {
  /// As it was given.
  public let text: String
  private let letters: [Letter]

  private enum Letter: Sendable, Equatable {
    case literal(UInt8)
    /// White space: any amount of it.
    case space
    case conversion(UInt8)
  }

  private static let known = Array("YymdeHkIlMSfpbBhaAjzZs".utf8)
  private static let short = ["D": "%m/%d/%y", "T": "%H:%M:%S", "F": "%Y-%m-%d", "R": "%H:%M"]

  /// Exit code 64 for an unknown letter, or where no year is asked for; `origin` (such as "--time-format") is blamed.
  public init(_ text: String, origin: String) throws(ProgramFailure) {
    self.text = text
    var letters: [Letter] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
      if byte == 0x20 || byte == 0x09 {
        letters.append(.space)
      } else if byte != UInt8(ascii: "%") {
        letters.append(.literal(byte))
      } else {
        let next = rest.popFirst()
        if let next, let meaning = Self.short[String(Unicode.Scalar(next))] {
          rest = (Array(meaning.utf8) + rest)[...]
          continue
        }
        guard let letter = next, letter == UInt8(ascii: "%") || Self.known.contains(letter) else {
          throw ProgramFailure(
            .usage,
            "\(origin): \(PrintableText.quoted(text.utf8)) holds a letter that is not known; there are "
              + "%Y %y %m %d %e %b %B %a %A %j %H %I %M %S %f %p %z %Z %s %T %F %D %R %%")
        }
        letters.append(letter == UInt8(ascii: "%") ? .literal(letter) : .conversion(letter))
      }
    }
    self.letters = letters
    func has(_ letter: String) -> Bool { letters.contains(.conversion(Array(letter.utf8)[0])) }
    let hasDay = has("j") || (has("m") || has("b") || has("B") || has("h")) && (has("d") || has("e"))
    guard has("s") || (has("Y") || has("y")) && hasDay else {
      throw ProgramFailure(
        .usage, "\(origin): \(PrintableText.quoted(text.utf8)) needs a year, a month and a day, such as %d/%m/%Y, or %s")
    }
  }

  /// The fields of `strptime`'s `tm`.
  private struct Parts {
    var (year, month, day, dayOfYear): (Int64, Int64, Int64, Int64?) = (1970, 1, 1, nil)
    var (hour, minute, second, nanoseconds): (Int64, Int64, Int64, Int64) = (0, 0, 0, 0)
    var isAfternoon: Bool?
    var offset: Int64 = 0
    var epoch: Int64?
  }

  func parse(_ text: UnsafeRawBufferPointer) -> TimeValue {
    var cursor = TimeCursor(TimeValue.trimmed(text))
    var parts = Parts()
    for letter in letters {
      switch letter {
      case .space: cursor.skipSpaces()
      case .literal(let byte): if !cursor.skip(Unicode.Scalar(byte)) { return .unparsable }
      case .conversion(let byte): if !Self.read(byte, &cursor, &parts) { return .unparsable }
      }
    }
    guard cursor.isAtEnd else { return .unparsable }
    if let epoch = parts.epoch {
      let (scaled, overflow) = epoch.multipliedReportingOverflow(by: 1_000_000_000)
      return overflow ? .outOfRange : .nanoseconds(scaled)
    }
    if let isAfternoon = parts.isAfternoon {
      guard (1...12).contains(parts.hour) else { return .unparsable }
      parts.hour = parts.hour % 12 + (isAfternoon ? 12 : 0)
    }
    var clock = TimeCursor.Clock(
      seconds: parts.hour * 3600 + parts.minute * 60 + parts.second - parts.offset, nanoseconds: parts.nanoseconds)
    if let dayOfYear = parts.dayOfYear {
      clock.seconds += (dayOfYear - 1) * 86400
      return TimeValue.value(parts.year, 1, 1, clock)
    }
    return TimeValue.value(parts.year, parts.month, parts.day, clock)
  }

  private static func read(_ letter: UInt8, _ cursor: inout TimeCursor, _ parts: inout Parts) -> Bool {
    func number(_ digits: Int, _ range: ClosedRange<Int64>) -> Int64? {
      cursor.number(upTo: digits).flatMap { range.contains($0) ? $0 : nil }
    }
    func set(_ path: WritableKeyPath<Parts, Int64>, _ value: Int64?) -> Bool {
      guard let value else { return false }
      parts[keyPath: path] = value
      return true
    }
    switch Character(Unicode.Scalar(letter)) {
    case "Y": return set(\.year, number(4, 0...9999))
    // POSIX: 69 to 99 are of the twentieth century.
    case "y": return set(\.year, number(2, 0...99).map { $0 < 69 ? 2000 + $0 : 1900 + $0 })
    case "m": return set(\.month, number(2, 1...12))
    case "d", "e":
      cursor.skipSpaces()
      return set(\.day, number(2, 1...31))
    case "H", "k", "I", "l":
      cursor.skipSpaces()
      return set(\.hour, number(2, 0...23))
    case "M": return set(\.minute, number(2, 0...59))
    case "S": return set(\.second, number(2, 0...60))
    case "f": return set(\.nanoseconds, cursor.fraction())
    case "b", "B", "h": return set(\.month, cursor.word().flatMap(Month.number))
    case "a", "A": return cursor.word().map(Month.isWeekday) ?? false
    case "j":
      guard let day = number(3, 1...366) else { return false }
      parts.dayOfYear = day
      return true
    case "p":
      guard let word = cursor.word(), word == "am" || word == "pm" else { return false }
      parts.isAfternoon = word == "pm"
      return true
    case "z", "Z": return !cursor.isAtEnd && set(\.offset, cursor.zone())
    default:
      let sign: Int64 = cursor.skip("-") ? -1 : 1
      guard let epoch = cursor.number(upTo: 18) else { return false }
      parts.epoch = sign * epoch
      return true
    }
  }
}
