import SystemSupport

/// Finds out how a file is laid out from its first records, the same way each time.
///
/// Each separator cuts the first hundred records; the one under which most of them have the same number of columns
/// wins. Then a header names the columns, or their values tell.
struct LayoutDetection {
  static let blockSize = 1 << 16
  static let longestLine = 1 << 20
  static let sampleSize = 100
  static let storedFields = 256

  private let name: String
  private let sample: UnsafeRawBufferPointer
  /// Pairs may have lines with a user alone, and are what is read where nothing else is recognised.
  private let allowsUserOnly: Bool

  /// The layout of an input, or nil where it has no line that is not blank. Fails with exit code 65 when nothing fits.
  static func detect(_ input: InputBytes, allowsUserOnly: Bool = false) throws(Failure) -> TableLayout? {
    defer { withExtendedLifetime(input) {} }
    let body = input.body
    let block = UnsafeRawBufferPointer(rebasing: body.prefix(blockSize))
    try ForeignFormats.refuse(body, block: block, name: input.name)
    // Whole lines only; of a first line that is longer than a block, as much as a line may have in reason.
    let long = UnsafeRawBufferPointer(rebasing: body.prefix(longestLine))
    let end =
      block.count == body.count
      ? block.count : (block.lastIndex(of: 0x0A) ?? long.firstIndex(of: 0x0A) ?? long.count - 1) + 1
    let sample = UnsafeRawBufferPointer(rebasing: body[..<end])
    let detection = LayoutDetection(name: input.name, sample: sample, allowsUserOnly: allowsUserOnly)
    return try detection.detect()
  }

  /// One way to cut the sample.
  private struct Cut {
    let separator: Separator
    /// The most frequent number of columns, and the records that have it.
    let columnCount: Int
    let records: [[[UInt8]]]
    let lines: [Int]
    let total: Int
    /// The first record of all, whether it fits or not.
    let first: [[UInt8]]

    /// Whether a larger share of the records fits.
    func fitsBetter(than other: Cut) -> Bool { records.count * other.total > other.records.count * total }
    func fitsAsWell(as other: Cut) -> Bool { !other.fitsBetter(than: self) }
  }

  private func cut(_ separator: Separator, withUserOnly: Bool = false) -> Cut? {
    var scanner = RecordScanner(sample, separator: separator, storedFields: Self.storedFields)
    var all: [(fields: [[UInt8]], line: Int)] = []
    while all.count < Self.sampleSize, scanner.next() {
      // A record of more columns than are stored fits nothing.
      let count = scanner.fieldCount > Self.storedFields ? 0 : scanner.fieldCount
      all.append(((0..<count).map { Array(scanner[$0]) }, scanner.line))
    }
    guard let first = all.first else { return nil }
    func fits(_ fields: [[UInt8]]) -> Bool {
      if separator == .pairs { return fields.count == 2 && !fields[0].isEmpty && !fields[1].isEmpty }
      return fields.count { !$0.isEmpty } >= 2
    }
    func isUserOnly(_ fields: [[UInt8]]) -> Bool {
      withUserOnly && (fields.count == 1 || fields.count == 2 && fields[1].isEmpty)
    }
    var frequencies: [Int: Int] = [:]
    for record in all where fits(record.fields) { frequencies[record.fields.count, default: 0] += 1 }
    // Ties go to more columns.
    let best = frequencies.max { ($0.value, $0.key) < ($1.value, $1.key) }?.key ?? 2
    let fitting = all.filter { fits($0.fields) && $0.fields.count == best || isUserOnly($0.fields) }
    if fitting.isEmpty { return nil }
    return Cut(
      separator: separator, columnCount: best, records: fitting.map(\.fields), lines: fitting.map(\.line),
      total: all.count, first: first.fields)
  }

  private func detect() throws(Failure) -> TableLayout? {
    var scanner = RecordScanner(sample, separator: .tab, storedFields: 1)
    guard scanner.next() else { return nil }
    let (firstText, firstLine) = (Array(scanner.text), scanner.line)

    let pairs = cut(.pairs)
    var delimited: Cut?
    for separator in [Separator.tab, .doubleColon, .comma, .semicolon] {
      guard let candidate = cut(separator) else { continue }
      guard let best = delimited else {
        delimited = candidate
        continue
      }
      if candidate.fitsBetter(than: best)
        || candidate.fitsAsWell(as: best) && candidate.columnCount > best.columnCount
      {
        delimited = candidate
      }
    }
    // Two columns with one space are pairs, unless the space stands inside a column of a wider table.
    if let pairs, delimited.map({ pairs.fitsAsWell(as: $0) }) ?? true {
      if let wider = delimited, wider.columnCount > 2, wider.fitsAsWell(as: pairs), let layout = try? layout(of: wider)
      {
        return layout
      }
      if let spaces = cut(.spaces), spaces.fitsBetter(than: pairs) { return try accepted(spaces) }
      return try accepted(pairs)
    }
    if let spaces = cut(.spaces), delimited.map({ spaces.fitsBetter(than: $0) }) ?? true { return try accepted(spaces) }
    if let delimited, !allowsUserOnly || 2 * delimited.records.count >= delimited.total {
      return try accepted(delimited)
    }
    if allowsUserOnly, let pairs = cut(.pairs, withUserOnly: true) { return try accepted(pairs) }
    throw unrecognised(firstLine, firstText, "no columns")
  }

  private func accepted(_ cut: Cut) throws(Failure) -> TableLayout {
    if 2 * cut.records.count < cut.total, !(allowsUserOnly && cut.separator == .pairs) {
      // The first record that does not fit shows what is wrong.
      var scanner = RecordScanner(sample, separator: cut.separator, storedFields: Self.storedFields)
      while scanner.next(), scanner.fieldCount == cut.columnCount {}
      throw unrecognised(
        scanner.line, Array(scanner.text),
        "\(cut.columnCount) columns separated by \(cut.separator.description) in only \(cut.records.count) of "
          + "the first "
          + "\(cut.total) lines")
    }
    return try layout(of: cut)
  }

  private func unrecognised(_ line: Int, _ text: [UInt8], _ detected: String) -> Failure {
    Failure(
      .badData,
      "\(name):\(line): \(PrintableText.quoted(text)): no known layout of interactions (found: \(detected)); "
        + "give lines "
        + "'user item' with one space between, or columns user, item, rating, time separated by tabs, '::', commas or "
        + "semicolons, or a first line that names the columns, such as user_id,item_id,timestamp")
  }

  private func layout(of cut: Cut) throws(Failure) -> TableLayout {
    let header = cut.first.map { String(decoding: $0, as: UTF8.self) }
    let names = header.map(ColumnNames.normalised)
    let user = ColumnNames.place(of: ColumnNames.user, in: names)
    let item = ColumnNames.place(of: ColumnNames.item, in: names)
    if let user, let item, header.count == cut.columnCount {
      return try layout(of: cut, header: header, user: user, item: item)
    }
    let isHeader =
      header.contains(where: ColumnNames.isTyped) || names.contains { $0.count > 3 && $0.hasSuffix("id") }
    if isHeader && (user != nil || item != nil || header.contains(where: ColumnNames.isTyped)) {
      let known = user == nil ? ColumnNames.user : ColumnNames.item
      throw Failure(
        .badData,
        "\(name):1: \(PrintableText.quoted(header.joined(separator: " ").utf8)): a header without a column for the "
          + "\(user == nil ? "user" : "item"); name one \(known[0]) (or \(known.dropFirst().joined(separator: ", ")))")
    }
    return try HeaderlessLayout(name: name, records: cut.records, lines: cut.lines, columnCount: cut.columnCount)
      .layout(separator: cut.separator, title: title(of: cut))
  }

  private func layout(of cut: Cut, header: [String], user: Int, item: Int) throws(Failure) -> TableLayout {
    let names = header.map(ColumnNames.normalised)
    var time: TableLayout.TimeColumn?
    let rows = cut.records.dropFirst()
    if let index = ColumnNames.place(of: ColumnNames.time, in: names), !rows.isEmpty {
      let values = rows.map { index < $0.count ? $0[index] : [] }
      guard let format = ColumnContent(values).timeFormat else {
        throw Failure(
          .badData,
          "\(name):\(cut.lines[1]): \(PrintableText.quoted(values[values.startIndex])): column \(header[index]) "
            + "is neither "
            + "a number nor ISO-8601 text such as 2014-07-23 or 2014-07-23T10:00:00Z; convert it, or leave the "
            + "column out"
        )
      }
      time = .init(index: index, format: format)
    }
    let isTyped = header.contains(where: ColumnNames.isTyped)
    let title = isTyped ? "RecBole atomic file (typed header)" : self.title(of: cut) + " with a header"
    return TableLayout(
      separator: cut.separator, columnCount: cut.columnCount, user: user, item: item, time: time, hasHeader: true,
      columnNames: header.map(ColumnNames.withoutType).map {
        String(PrintableText.quoted($0.utf8).dropFirst().dropLast())
      },
      title: title)
  }

  private func title(of cut: Cut) -> String {
    guard cut.separator == .pairs else { return "columns separated by \(cut.separator.description)" }
    let fitting = Set(cut.lines)
    var scanner = RecordScanner(sample, separator: .tab, storedFields: 1)
    var (tabs, single, several) = (false, false, false)
    while scanner.next() {
      if !fitting.contains(scanner.line) { continue }
      if scanner.text.contains(0x09) {
        tabs = true
      } else if scanner.text.count(where: { $0 == 0x20 }) == 1 {
        single = true
      } else {
        several = true
      }
    }
    switch (tabs, single, several) {
    case (true, false, false): return "pairs separated by a tab"
    case (true, _, _): return "pairs separated by a tab or spaces"
    case (_, _, true): return "pairs separated by spaces"
    default: return "pairs separated by one space"
    }
  }
}
