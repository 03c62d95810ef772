/// Times as people and C libraries write them.
extension TimeValue {
  /// `YYYYMMDD[[ T]HH[MM[SS]]]`: a day of the years 1900 to 2099.
  static func digits(_ text: UnsafeRawBufferPointer) -> TimeValue {
    var cursor = TimeCursor(trimmed(text))
    guard let year = cursor.number(4), (1900..<2100).contains(year), let month = cursor.number(2),
      let day = cursor.number(2)
    else { return .unparsable }
    var clock = TimeCursor.Clock()
    _ = cursor.skip("T") || cursor.skip(" ")
    for (part, limit) in [(Int64(3600), Int64(24)), (60, 60), (1, 61)] where !cursor.isAtEnd {
      guard let number = cursor.number(2), number < limit else { return .unparsable }
      clock.seconds += number * part
    }
    return cursor.isAtEnd ? value(year, month, day, clock) : .unparsable
  }

  /// `DD.MM.YYYY[,][ HH:MM[:SS]]`.
  static func dotted(_ text: UnsafeRawBufferPointer) -> TimeValue {
    var cursor = TimeCursor(trimmed(text))
    guard let day = cursor.number(upTo: 2), cursor.skip("."), let month = cursor.number(upTo: 2), cursor.skip("."),
      let year = cursor.number(4)
    else { return .unparsable }
    var clock = TimeCursor.Clock()
    _ = cursor.skip(",")
    cursor.skipSpaces()
    if !cursor.isAtEnd {
      guard let read = cursor.clock(), let offset = cursor.zone() else { return .unparsable }
      clock = read
      clock.seconds -= offset
    }
    return cursor.isAtEnd ? value(year, month, day, clock) : .unparsable
  }

  /// A month's word, a day, a year of four digits, perhaps a weekday, a time of the day and a zone, in any order:
  /// `Tue Apr 03 18:00:09 +0000 2012`, `Tue, 3 Apr 2012 18:00:09 GMT`, `April 3, 2012`.
  static func words(_ text: UnsafeRawBufferPointer) -> TimeValue {
    var cursor = TimeCursor(trimmed(text))
    var (year, month, day): (Int64?, Int64?, Int64?)
    var clock: TimeCursor.Clock?
    var offset: Int64?
    while !cursor.isAtEnd {
      let start = cursor.place
      if cursor.hasDigit(after: 0) {
        var length = 1
        while cursor.hasDigit(after: length) { length += 1 }
        let isClock =
          length <= 2 && start + length < text.count && cursor.text.count > start + length
          && cursor.text[start + length] == UInt8(ascii: ":")
        if isClock {
          guard clock == nil, let read = cursor.clock() else { return .unparsable }
          clock = read
        } else if length == 4 {
          guard year == nil else { return .unparsable }
          year = cursor.number(4)
        } else {
          guard length <= 2, day == nil else { return .unparsable }
          day = cursor.number(length)
        }
      } else if let word = cursor.word() {
        if let number = Month.number(word) {
          guard month == nil else { return .unparsable }
          month = number
        } else if !Month.isWeekday(word) {
          guard clock != nil, offset == nil else { return .unparsable }
          cursor.place = start
          guard let zone = cursor.zone() else { return .unparsable }
          offset = zone
        }
      } else if clock != nil, offset == nil, "+-".utf8.contains(cursor.text[start]) {
        guard let zone = cursor.zone() else { return .unparsable }
        offset = zone
      } else if cursor.skip(",") || cursor.skip("-") || cursor.skip("/") || cursor.skip(".") {
      } else {
        cursor.skipSpaces()
      }
      if cursor.place == start { return .unparsable }
    }
    guard let year, let month, let day else { return .unparsable }
    var time = clock ?? TimeCursor.Clock()
    time.seconds -= offset ?? 0
    return value(year, month, day, time)
  }
}

/// English names, whole or as three letters.
enum Month {
  private static let names = [
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
  ]
  private static let weekdays = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]

  static func number(_ word: String) -> Int64? {
    if word == "sept" { return 9 }
    return names.firstIndex { $0 == word || word.count == 3 && $0.hasPrefix(word) }.map { Int64($0) + 1 }
  }

  static func isWeekday(_ word: String) -> Bool {
    weekdays.contains { $0 == word || (3...5).contains(word.count) && $0.hasPrefix(word) }
  }
}
