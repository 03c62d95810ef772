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
    case .numbers: epoch(text, 1_000_000_000)
    case .iso8601: iso8601(text)
    case .digits: digits(text)
    case .words: words(text)
    case .dotted: dotted(text)
    case .pattern(let pattern): pattern.parse(text)
    }
  }

  /// Reads a column's times; epochs, which most are, without a look at the format.
  struct Reader {
    private let format: TimeFormat
    /// Nanoseconds; 0 for what is no number.
    private let unit: Int64

    init(_ format: TimeFormat) {
      self.format = format
      switch format {
      case .epoch(let unit): self.unit = unit.inNanoseconds
      case .numbers: unit = 1_000_000_000
      default: unit = 0
      }
    }

    @inline(__always)
    func parse(_ text: UnsafeRawBufferPointer) -> TimeValue {
      unit != 0 ? TimeValue.epoch(text, unit) : TimeValue.parse(text, format)
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
    switch WrittenNumber.parse(text) {
    case .none: return .unparsable
    case .some(let value) where !value.isFinite: return .notFinite
    case .some(let value):
      let scaled = (value * Double(unit)).rounded()
      return scaled.magnitude < 9.2e18 ? .nanoseconds(Int64(scaled)) : .outOfRange
    }
  }

  /// `YYYY-MM-DD` (or with slashes), then perhaps `T` or a space and `HH[:MM[:SS[.fraction]]]`, then perhaps `Z`,
  /// `±HH[[:]MM]` or a zone's word.
  static func iso8601(_ text: UnsafeRawBufferPointer) -> TimeValue {
    var cursor = TimeCursor(trimmed(text))
    guard let year = cursor.number(4), cursor.skip("-") || cursor.skip("/"), let month = cursor.number(2),
      cursor.skip("-") || cursor.skip("/"), let day = cursor.number(2)
    else { return .unparsable }
    var clock = TimeCursor.Clock()
    if cursor.skip("T") || cursor.skip("t") || (cursor.hasDigit(after: 1) && cursor.skip(" ")) {
      guard let read = cursor.clock(allowsHoursOnly: true), let offset = cursor.zone() else { return .unparsable }
      clock = read
      clock.seconds -= offset
    }
    guard cursor.isAtEnd else { return .unparsable }
    return value(year, month, day, clock)
  }

  /// A day of the calendar and a time of that day.
  static func value(_ year: Int64, _ month: Int64, _ day: Int64, _ clock: TimeCursor.Clock) -> TimeValue {
    guard (1...12).contains(month), day >= 1, day <= daysInMonth(month, year) else { return .unparsable }
    let total = daysSinceEpoch(year, month, day) * 86400 + clock.seconds
    let (scaled, overflow) = total.multipliedReportingOverflow(by: 1_000_000_000)
    let (sum, overflowOfSum) = scaled.addingReportingOverflow(clock.nanoseconds)
    return overflow || overflowOfSum ? .outOfRange : .nanoseconds(sum)
  }

  @inline(__always)
  static func digit(_ byte: UInt8) -> Int64? {
    let value = byte &- UInt8(ascii: "0")
    return value < 10 ? Int64(value) : nil
  }

  @inline(__always)
  static func trimmed(_ text: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
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

  /// ISO-8601 in UTC of nanoseconds since 1970, which `iso8601` reads as these again.
  static func text(_ nanoseconds: Int64) -> String {
    func split(_ value: Int64, _ unit: Int64) -> (whole: Int64, rest: Int64) {
      let rest = (value % unit + unit) % unit
      return ((value - rest) / unit, rest)
    }
    func digits(_ value: Int64, _ count: Int) -> String {
      let text = String(value)
      return String(repeating: "0", count: max(0, count - text.count)) + text
    }
    // The least number less its rest would be too small.
    let fraction = (nanoseconds % 1_000_000_000 + 1_000_000_000) % 1_000_000_000
    let seconds = nanoseconds / 1_000_000_000 - (nanoseconds % 1_000_000_000 < 0 ? 1 : 0)
    let (day, second) = split(seconds, 86400)
    // The way back of `daysSinceEpoch`: a day's place in its cycle of 400 years, then in a year that begins in March.
    let (cycle, dayOfCycle) = split(day + 719_468, 146_097)
    let yearOfCycle = (dayOfCycle - dayOfCycle / 1460 + dayOfCycle / 36524 - dayOfCycle / 146_096) / 365
    let dayOfYear = dayOfCycle - (365 * yearOfCycle + yearOfCycle / 4 - yearOfCycle / 100)
    let marchMonth = (5 * dayOfYear + 2) / 153
    let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
    let year = cycle * 400 + yearOfCycle + (month <= 2 ? 1 : 0)
    var text = "\(digits(year, 4))-\(digits(month, 2))-\(digits(dayOfYear - (153 * marchMonth + 2) / 5 + 1, 2))"
    text += "T\(digits(second / 3600, 2)):\(digits(second / 60 % 60, 2)):\(digits(second % 60, 2))"
    if fraction > 0 {
      var decimals = digits(fraction, 9)
      while decimals.last == "0" { decimals.removeLast() }
      text += "." + decimals
    }
    return text + "Z"
  }
}
