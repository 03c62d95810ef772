/// Reads the parts of a time from left to right. A part that is not there leaves the place as it was or makes the whole
/// unreadable, which the caller says.
struct TimeCursor {
  struct Clock {
    /// Since midnight; less an offset, where one was given.
    var seconds: Int64 = 0
    var nanoseconds: Int64 = 0
  }

  let text: UnsafeRawBufferPointer
  var place = 0

  @inline(__always)
  init(_ text: UnsafeRawBufferPointer) { self.text = text }

  var isAtEnd: Bool { place == text.count }

  func hasDigit(after distance: Int) -> Bool {
    place + distance < text.count && TimeValue.digit(text[place + distance]) != nil
  }

  mutating func skip(_ character: Unicode.Scalar) -> Bool {
    guard place < text.count, text[place] == UInt8(ascii: character) else { return false }
    place += 1
    return true
  }

  mutating func skipSpaces() {
    while place < text.count, text[place] == 0x20 || text[place] == 0x09 { place += 1 }
  }

  mutating func number(_ digits: Int) -> Int64? {
    guard place + digits <= text.count else { return nil }
    var value: Int64 = 0
    for offset in 0..<digits {
      guard let digit = TimeValue.digit(text[place + offset]) else { return nil }
      value = 10 * value + digit
    }
    place += digits
    return value
  }

  /// One digit at least, `most` at most.
  mutating func number(upTo most: Int) -> Int64? {
    guard hasDigit(after: 0) else { return nil }
    var count = 1
    while count < most, hasDigit(after: count) { count += 1 }
    return number(count)
  }

  /// Digits after the point, as nanoseconds; those after the ninth do not count.
  mutating func fraction() -> Int64? {
    guard hasDigit(after: 0) else { return nil }
    var (value, scale): (Int64, Int64) = (0, 1_000_000_000)
    while place < text.count, let digit = TimeValue.digit(text[place]) {
      scale /= 10
      value += digit * scale
      place += 1
    }
    return value
  }

  /// `HH:MM[:SS[.fraction]]`, or `HH` where that is allowed.
  mutating func clock(allowsHoursOnly: Bool = false) -> Clock? {
    guard let hour = number(2) ?? number(upTo: 1), hour < 24 else { return nil }
    var clock = Clock(seconds: hour * 3600)
    guard skip(":") else { return allowsHoursOnly ? clock : nil }
    guard let minute = number(2), minute < 60 else { return nil }
    clock.seconds += minute * 60
    if skip(":") {
      // 60 is a leap second.
      guard let second = number(2), second <= 60 else { return nil }
      clock.seconds += second
      if skip(".") || skip(",") {
        guard let fraction = fraction() else { return nil }
        clock.nanoseconds = fraction
      }
    }
    return clock
  }

  /// Letters, in lower case; nil where there is none.
  mutating func word() -> String? {
    let start = place
    while place < text.count, UInt8(ascii: "a")...UInt8(ascii: "z") ~= text[place] | 0x20 { place += 1 }
    return place == start ? nil : String(decoding: text[start..<place], as: UTF8.self).lowercased()
  }

  /// Seconds east of Greenwich: nothing (0), `Z`, `±HH[[:]MM]`, or a zone's word; nil for what is none of them.
  mutating func zone() -> Int64? {
    if isAtEnd { return 0 }
    skipSpaces()
    if skip("+") { return offset(1) }
    if skip("-") { return offset(-1) }
    guard let word = word() else { return isAtEnd ? 0 : nil }
    guard let hours = Self.zones[word] else { return nil }
    // "GMT+01:00".
    if hours == 0 && skip("+") { return offset(1) }
    if hours == 0 && skip("-") { return offset(-1) }
    return hours * 3600
  }

  private mutating func offset(_ sign: Int64) -> Int64? {
    guard let hours = number(2), hours < 24 else { return nil }
    var minutes: Int64 = 0
    if skip(":") || hasDigit(after: 0) {
      guard let number = number(2), number < 60 else { return nil }
      minutes = number
    }
    return sign * (hours * 3600 + minutes * 60)
  }

  /// Hours; those of RFC 2822 and of Central Europe. Other words may mean several zones.
  private static let zones: [String: Int64] = [
    "z": 0, "utc": 0, "gmt": 0, "ut": 0, "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8,
    "pdt": -7, "cet": 1, "cest": 2,
  ]
}
