/// How a time column is written.
enum TimeFormat: Equatable, Sendable {
  case epoch(EpochUnit)
  case iso8601

  var description: String {
    switch self {
    case .epoch(let unit): "epoch in \(unit.rawValue)"
    case .iso8601: "ISO-8601 text (UTC where no offset is given)"
    }
  }
}

enum EpochUnit: String, Sendable {
  case seconds, milliseconds, microseconds, nanoseconds

  /// The unit that puts a value into the years that data sets come from: 1e11 would be the year 5138 in seconds and
  /// is 1973 in milliseconds.
  init(magnitude: Double) {
    self =
      magnitude < 1e11 ? .seconds : magnitude < 1e14 ? .milliseconds : magnitude < 1e17 ? .microseconds : .nanoseconds
  }

  var inNanoseconds: Int64 {
    switch self {
    case .seconds: 1_000_000_000
    case .milliseconds: 1_000_000
    case .microseconds: 1000
    case .nanoseconds: 1
    }
  }
}

/// A time as nanoseconds since 1970 (the years 1678 to 2261 fit).
enum TimeValue: Equatable {
  case nanoseconds(Int64)
  case unparsable
  case notFinite
  case outOfRange

  @inline(__always)
  static func parse(_ text: UnsafeRawBufferPointer, _ format: TimeFormat) -> TimeValue {
    switch format {
    case .epoch(let unit): epoch(text, unit.inNanoseconds)
    case .iso8601: iso8601(text)
    }
  }

  /// Whole numbers and fractions of at most nine digits are exact; exponents go through `Double`.
  static func epoch(_ text: UnsafeRawBufferPointer, _ unit: Int64) -> TimeValue {
    let text = trimmed(text)
    var place = 0
    let isNegative = !text.isEmpty && text[0] == UInt8(ascii: "-")
    if isNegative || (!text.isEmpty && text[0] == UInt8(ascii: "+")) { place = 1 }
    let firstDigit = place
    var whole: Int64 = 0
    while place < text.count, let digit = digit(text[place]) {
      let (tens, overflow) = whole.multipliedReportingOverflow(by: 10)
      let (sum, overflowOfSum) = tens.addingReportingOverflow(digit)
      if overflow || overflowOfSum { return slowEpoch(text, unit) }
      whole = sum
      place += 1
    }
    if place == firstDigit { return slowEpoch(text, unit) }
    var fraction: Int64 = 0
    if place < text.count, text[place] == UInt8(ascii: ".") {
      place += 1
      var scale: Int64 = 1_000_000_000
      while place < text.count, let digit = digit(text[place]) {
        scale /= 10
        fraction += digit * scale
        place += 1
      }
    }
    if place < text.count { return slowEpoch(text, unit) }
    let (scaled, overflow) = whole.multipliedReportingOverflow(by: unit)
    // At most 1e9 * 1e9.
    let (total, overflowOfTotal) = scaled.addingReportingOverflow(fraction * unit / 1_000_000_000)
    if overflow || overflowOfTotal { return .outOfRange }
    return .nanoseconds(isNegative ? -total : total)
  }

  @inline(never)
  private static func slowEpoch(_ text: UnsafeRawBufferPointer, _ unit: Int64) -> TimeValue {
    switch NumberText.parse(text) {
    case .none: return .unparsable
    case .some(let value) where !value.isFinite: return .notFinite
    case .some(let value):
      let scaled = (value * Double(unit)).rounded()
      return scaled.magnitude < 9.2e18 ? .nanoseconds(Int64(scaled)) : .outOfRange
    }
  }

  /// `YYYY-MM-DD`, then perhaps `T` or a space and `HH:MM[:SS[.fraction]]`, then perhaps `Z` or `±HH[[:]MM]`.
  static func iso8601(_ text: UnsafeRawBufferPointer) -> TimeValue {
    var cursor = Cursor(text: trimmed(text))
    guard let year = cursor.number(4), cursor.skip("-"), let month = cursor.number(2), cursor.skip("-"),
      let day = cursor.number(2), (1...12).contains(month), day >= 1, day <= daysInMonth(month, year)
    else { return .unparsable }
    var seconds: Int64 = 0
    var nanoseconds: Int64 = 0
    if cursor.skip("T") || cursor.skip("t") || (cursor.hasDigit(after: 1) && cursor.skip(" ")) {
      guard let hour = cursor.number(2), hour < 24, cursor.skip(":"), let minute = cursor.number(2), minute < 60 else {
        return .unparsable
      }
      seconds = hour * 3600 + minute * 60
      if cursor.skip(":") {
        // 60 is a leap second.
        guard let second = cursor.number(2), second <= 60 else { return .unparsable }
        seconds += second
        if cursor.skip(".") || cursor.skip(",") {
          guard let fraction = cursor.fraction() else { return .unparsable }
          nanoseconds = fraction
        }
      }
      _ = cursor.skip(" ")
      if cursor.skip("Z") || cursor.skip("z") {
      } else if let sign: Int64 = cursor.skip("+") ? 1 : cursor.skip("-") ? -1 : nil {
        guard let hours = cursor.number(2), hours < 24 else { return .unparsable }
        var minutes: Int64 = 0
        if cursor.skip(":") || !cursor.isAtEnd {
          guard let number = cursor.number(2), number < 60 else { return .unparsable }
          minutes = number
        }
        seconds -= sign * (hours * 3600 + minutes * 60)
      }
    }
    guard cursor.isAtEnd else { return .unparsable }
    let total = daysSinceEpoch(year, month, day) * 86400 + seconds
    let (scaled, overflow) = total.multipliedReportingOverflow(by: 1_000_000_000)
    let (sum, overflowOfSum) = scaled.addingReportingOverflow(nanoseconds)
    return overflow || overflowOfSum ? .outOfRange : .nanoseconds(sum)
  }

  @inline(__always)
  private static func digit(_ byte: UInt8) -> Int64? {
    let value = byte &- UInt8(ascii: "0")
    return value < 10 ? Int64(value) : nil
  }

  @inline(__always)
  private static func trimmed(_ text: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    var (start, end) = (0, text.count)
    while start < end, text[start] == UInt8(ascii: " ") { start += 1 }
    while end > start, text[end - 1] == UInt8(ascii: " ") { end -= 1 }
    return UnsafeRawBufferPointer(rebasing: text[start..<end])
  }

  private static func daysInMonth(_ month: Int64, _ year: Int64) -> Int64 {
    switch month {
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }

  /// Howard Hinnant's days_from_civil for the years 0 to 9999: years begin in March, so that the leap day is the last.
  private static func daysSinceEpoch(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
    let marchYear = (month <= 2 ? year - 1 : year) + 400  // never negative; 400 years are a whole cycle
    let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
    return marchYear * 365 + marchYear / 4 - marchYear / 100 + marchYear / 400 + dayOfYear - 719_468 - 146_097
  }

  private struct Cursor {
    let text: UnsafeRawBufferPointer
    var place = 0

    var isAtEnd: Bool { place == text.count }

    func hasDigit(after distance: Int) -> Bool {
      place + distance < text.count && digit(text[place + distance]) != nil
    }

    mutating func skip(_ character: Unicode.Scalar) -> Bool {
      guard place < text.count, text[place] == UInt8(ascii: character) else { return false }
      place += 1
      return true
    }

    mutating func number(_ digits: Int) -> Int64? {
      guard place + digits <= text.count else { return nil }
      var value: Int64 = 0
      for offset in 0..<digits {
        guard let digit = digit(text[place + offset]) else { return nil }
        value = 10 * value + digit
      }
      place += digits
      return value
    }

    /// Digits after the point, as nanoseconds; those after the ninth do not count.
    mutating func fraction() -> Int64? {
      guard hasDigit(after: 0) else { return nil }
      var (value, scale): (Int64, Int64) = (0, 1_000_000_000)
      while place < text.count, let digit = digit(text[place]) {
        scale /= 10
        value += digit * scale
        place += 1
      }
      return value
    }
  }
}

/// Decimal numbers as files have them.
enum NumberText {
  /// The value, also `nan` and infinities; nil for what is no number. Hexadecimal numbers are none.
  static func parse(_ text: some Collection<UInt8>) -> Double? {
    guard !text.isEmpty, text.count <= 64 else { return nil }
    let isDecimal = text.allSatisfy { byte in
      (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || "+-.eE".utf8.contains(byte)
    }
    let string = String(decoding: text, as: UTF8.self)
    if isDecimal { return Double(string) }
    let word = string.lowercased()
    let unsigned = word.hasPrefix("-") || word.hasPrefix("+") ? String(word.dropFirst()) : word
    switch unsigned {
    case "nan": return .nan
    case "inf", "infinity": return .infinity
    default: return nil
    }
  }
}
