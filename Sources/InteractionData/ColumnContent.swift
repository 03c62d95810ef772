/// What the values of one column look like, those that are missing left aside.
struct ColumnContent {
  private let values: [[UInt8]]
  private let missing: Int

  init(_ values: some Collection<[UInt8]>) {
    self.values = values.filter { !MissingValue.isOne($0) }
    missing = values.count - self.values.count
  }

  var isMostlyMissing: Bool { missing > values.count }
  var hasMissing: Bool { missing > 0 }

  /// A value to show.
  var example: [UInt8] { values.first ?? [] }

  private func most(_ share: Double, _ isOne: ([UInt8]) -> Bool) -> Bool {
    !values.isEmpty && Double(values.count(where: isOne)) >= share * Double(values.count)
  }

  // MARK: Numbers

  var isNumeric: Bool { most(0.5) { Self.number($0) != nil } }

  /// Numbers with something after the point.
  var isFractional: Bool { most(0.5) { Self.finite($0).map { $0 != $0.rounded() } ?? false } }

  /// Numbers from 0.5 to 5 in steps of a half.
  var isRatingLike: Bool {
    most(1) { Self.finite($0).map { (0.5...5).contains($0) && 2 * $0 == (2 * $0).rounded() } ?? false }
  }

  /// Numbers from 0 to 10 in steps of a half, as the scales of ratings have them: 1 to 5, 0.5 to 5, 0 to 10.
  var isOnScale: Bool {
    most(1) { Self.finite($0).map { (0...10).contains($0) && 2 * $0 == (2 * $0).rounded() } ?? false }
  }

  var isConstant: Bool { Set(values).count < 2 }

  /// The same, and not always one of them.
  var isRating: Bool { isRatingLike && !isConstant }

  /// Fractions of three digits or more between -180 and 180.
  var isCoordinate: Bool {
    most(0.9) { value in
      guard let number = Self.finite(value), let point = value.firstIndex(of: UInt8(ascii: ".")) else { return false }
      return abs(number) <= 180 && value.count - point > 3
    }
  }

  /// Whole numbers that grow by one from row to row.
  var isRowNumber: Bool {
    let numbers = values.compactMap { Int64(String(decoding: $0, as: UTF8.self)) }
    return missing == 0 && numbers.count == values.count && zip(numbers, numbers.dropFirst()).allSatisfy { $1 == $0 &+ 1 }
  }

  var areDistinct: Bool { Set(values).count == values.count }

  /// A number, also with a decimal comma, as ratings may have it.
  static func number(_ value: [UInt8]) -> Double? {
    let trimmed = value.filter { $0 != 0x20 }
    return WrittenNumber.parse(trimmed)
      ?? WrittenNumber.parse(trimmed.map { $0 == UInt8(ascii: ",") ? UInt8(ascii: ".") : $0 })
  }

  private static func finite(_ value: [UInt8]) -> Double? { number(value).flatMap { $0.isFinite ? $0 : nil } }

  // MARK: Words and lists

  var isEventWord: Bool {
    most(1) { ColumnNames.eventWords.contains(String(decoding: $0, as: UTF8.self).lowercased()) }
  }

  /// Brackets around several values.
  var isBracketedList: Bool { most(0.5) { ListSyntax.isBracketed($0) } }

  // MARK: Times

  /// The format of most values, if they are times or numbers: how a column that is a time is read.
  var timeFormat: TimeFormat? {
    if let format = writtenFormat(0.5) { return format }
    guard isNumeric else { return nil }
    var largest = 0.0
    for value in values { largest = max(largest, Self.finite(value)?.magnitude ?? 0) }
    return largest < 1e7 ? .numbers : .epoch(EpochUnit(magnitude: largest))
  }

  private func writtenFormat(_ share: Double) -> TimeFormat? {
    let formats: [TimeFormat] = [.iso8601, .digits, .words, .dotted]
    return formats.first { format in
      most(share) { value in value.withUnsafeBytes { TimeValue.parse($0, format) != .unparsable } }
    }
  }

  /// Whether nearly all values are times of the years 1990 to 2100, so that the column is one whatever its name.
  var looksLikeTime: Bool { isWrittenTime || isEpoch }

  /// Times that are no plain numbers, or days as YYYYMMDD.
  var isWrittenTime: Bool { writtenFormat(0.9) != nil }

  var isEpoch: Bool {
    let first: Double = 631_152_000
    let last: Double = 4_102_444_800
    guard case .epoch(let unit)? = timeFormat else { return false }
    let scale = 1e9 / Double(unit.inNanoseconds)
    return most(0.9) { Self.finite($0).map { (first * scale...last * scale).contains($0) } ?? false }
  }

  /// At least half of the values would be a time after 1973 in seconds: enough where a time is expected.
  var isPlausibleTime: Bool {
    writtenFormat(0.5) != nil || isNumeric && most(0.5) { Self.finite($0).map { $0 >= 1e8 } ?? false }
  }

  /// Whether most values end with an offset or a zone.
  var hasZone: Bool {
    most(0.5) { value in
      let letters = UInt8(ascii: "A")...UInt8(ascii: "Z")
      guard value.count > 11, let last = value.last else { return false }
      return letters.contains(last) || value.dropFirst(11).contains { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "-") }
    }
  }

  /// `HH:MM` or `HH:MM:SS`.
  var isClock: Bool {
    most(0.9) { value in
      value.withUnsafeBytes { bytes in
        var cursor = TimeCursor(TimeValue.trimmed(bytes))
        return cursor.clock() != nil && cursor.isAtEnd
      }
    }
  }

  static func isISO8601(_ value: [UInt8]) -> Bool {
    value.withUnsafeBytes { TimeValue.iso8601($0) != .unparsable }
  }
}

/// What stands in a file where a value is missing.
enum MissingValue {
  @inline(__always)
  static func isOne(_ value: UnsafeRawBufferPointer) -> Bool {
    if value.count == 0 { return true }
    // Most ids begin with a digit or are longer.
    if value.count > 4 || value[0] &- UInt8(ascii: "0") < 10 { return false }
    switch value[0] {
    case UInt8(ascii: "N"), UInt8(ascii: "n"), UInt8(ascii: "\\"), UInt8(ascii: "<"), UInt8(ascii: "#"):
      return isWord(value)
    default: return false
    }
  }

  static func isOne(_ value: [UInt8]) -> Bool { value.withUnsafeBytes { isOne($0) } }

  @inline(never)
  private static func isWord(_ value: UnsafeRawBufferPointer) -> Bool {
    words.contains { $0.utf8.elementsEqual(value) }
  }

  private static let words = [
    "NA", "N/A", "n/a", "null", "NULL", "Null", "None", "NONE", "none", "NaN", "nan", "NAN", "\\N", "<NA>", "#N/A", "nil",
  ]
}
