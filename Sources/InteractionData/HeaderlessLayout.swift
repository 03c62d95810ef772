import SystemSupport

/// What the values of one column look like.
struct ColumnContent {
  /// The format of most values, if they are times or numbers.
  let timeFormat: TimeFormat?
  /// Most values are ISO-8601, or numbers that would be a time after 1973 in seconds.
  let isPlausibleTime: Bool
  let isNumeric: Bool

  init(_ values: some Collection<[UInt8]>) {
    var (iso, numeric, plausible) = (0, 0, 0)
    var largest = 0.0
    for value in values {
      if Self.isISO8601(value) {
        iso += 1
      } else if let number = Self.number(value) {
        numeric += 1
        if number.isFinite {
          largest = max(largest, number.magnitude)
          if number >= 1e8 { plausible += 1 }
        }
      }
    }
    isNumeric = !values.isEmpty && 2 * numeric >= values.count
    if !values.isEmpty && 2 * iso >= values.count {
      timeFormat = .iso8601
      isPlausibleTime = true
    } else {
      timeFormat = isNumeric ? .epoch(EpochUnit(magnitude: largest)) : nil
      isPlausibleTime = isNumeric && 2 * plausible >= values.count
    }
  }

  static func isISO8601(_ value: [UInt8]) -> Bool {
    value.withUnsafeBytes { TimeValue.iso8601($0) != .unparsable }
  }

  /// A number, also with a decimal comma, as ratings may have it.
  static func number(_ value: [UInt8]) -> Double? {
    let trimmed = value.filter { $0 != 0x20 }
    return NumberText.parse(trimmed)
      ?? NumberText.parse(trimmed.map { $0 == UInt8(ascii: ",") ? UInt8(ascii: ".") : $0 })
  }
}

/// Infers what the columns of a table without a header are:
/// `user item`, `user item rating`, `user item time`, `user item rating time`, and two published layouts that differ:
/// Amazon's ratings of 2018 (`item,user,rating,time`) and YooChoose's clicks (`session,ISO-8601,item,...`).
struct HeaderlessLayout {
  let name: String
  let records: [[[UInt8]]]
  let lines: [Int]
  let columnCount: Int

  func layout(separator: Separator, title: String) throws(Failure) -> TableLayout {
    var layout = TableLayout(
      separator: separator, columnCount: columnCount, user: 0, item: 1, time: nil, hasHeader: false,
      columnNames: ["user", "item"], title: title)
    if columnCount == 2 {
      if separator != .pairs { try refuseProse() }
      layout.note = noteOnFirstLine
      return layout
    }
    if content(of: 1).timeFormat == .iso8601 {
      layout.item = 2
      layout.time = .init(index: 1, format: .iso8601)
      layout.columnNames = ["session", "time", "item"] + Array(repeating: "not used", count: columnCount - 3)
      return layout
    }
    guard columnCount <= 4 else {
      throw failure(0, "\(columnCount) columns and no header that says which is what; add a first line that names them")
    }
    if isAmazonItemThenUser {
      layout.user = 1
      layout.item = 0
      layout.columnNames = ["item", "user"]
    }
    let third = content(of: 2)
    if columnCount == 3 {
      if third.isPlausibleTime, let format = third.timeFormat {
        layout.time = .init(index: 2, format: format)
      } else if !third.isNumeric {
        throw failure(2, "the third of three columns is neither a rating nor a time")
      }
      layout.columnNames.append(layout.time == nil ? "rating (not used)" : "time")
    } else {
      let fourth = content(of: 3)
      if third.isPlausibleTime, !fourth.isPlausibleTime, let format = third.timeFormat {
        layout.time = .init(index: 2, format: format)
        layout.columnNames += ["time", "not used"]
      } else if let format = fourth.timeFormat {
        layout.time = .init(index: 3, format: format)
        layout.columnNames += ["rating (not used)", "time"]
      } else {
        throw failure(3, "the fourth of four columns is not a time")
      }
    }
    try refuseUnknownHeader(layout.time?.index ?? 2)
    return layout
  }

  private func content(of column: Int) -> ColumnContent { ColumnContent(records.map { $0[column] }) }

  private func failure(_ column: Int, _ reason: String) -> Failure {
    Failure(
      .badData,
      "\(name):\(lines[0]): \(PrintableText.quoted(records[0][column])): \(reason) (without a header the "
        + "columns are user, "
        + "item, rating, time; a first line such as user_id,item_id,timestamp names others)")
  }

  /// A first line that is text where all others are numbers or times is a header, of names that nobody told us.
  private func refuseUnknownHeader(_ column: Int) throws(Failure) {
    func isValue(_ field: [UInt8]) -> Bool { ColumnContent.isISO8601(field) || ColumnContent.number(field) != nil }
    guard records.count > 1, !isValue(records[0][column]), isValue(records[1][column]),
      !records[0].contains(where: isValue)
    else { return }
    throw failure(
      0,
      "the first line looks like a header, but names no user and item; known names are "
        + "\(ColumnNames.user.joined(separator: ", ")) and \(ColumnNames.item.joined(separator: ", "))")
  }

  /// Ids may be any text, so a first line of words above lines of numbers counts; whoever meant a header is told.
  private var noteOnFirstLine: String? {
    func isNumber(_ field: [UInt8]) -> Bool { NumberText.parse(field) != nil }
    guard records.count > 1, !records[0].contains(where: isNumber),
      records.dropFirst().allSatisfy({ $0.allSatisfy(isNumber) })
    else { return nil }
    let text = records[0].joined(separator: [0x20])
    return
      "line \(lines[0]), \(PrintableText.quoted(Array(text))), is read as an interaction (a header names its columns "
      + "user_id and item_id)"
  }

  /// Sentences with a comma each are no table.
  private func refuseProse() throws(Failure) {
    let sentences = records.count { $0[0].contains(0x20) && $0[1].first == 0x20 }
    if 2 * sentences > records.count { throw failure(0, "text rather than a table") }
  }

  /// Amazon's ids tell users (`A` and 9 to 20 capitals or digits) from products (`B` or a digit, ten characters).
  private var isAmazonItemThenUser: Bool {
    func isAlphanumeric(_ id: ArraySlice<UInt8>) -> Bool {
      id.allSatisfy { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) || isDigit($0) }
    }
    func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
    func isProduct(_ id: [UInt8]) -> Bool {
      guard id.count == 10, let first = id.first else { return false }
      return (first == UInt8(ascii: "B") || isDigit(first)) && isAlphanumeric(id[...])
    }
    func isReviewer(_ id: [UInt8]) -> Bool {
      (10...21).contains(id.count) && id.first == UInt8(ascii: "A") && isAlphanumeric(id[...])
    }
    return records.allSatisfy { isProduct($0[0]) && isReviewer($0[1]) }
  }
}
