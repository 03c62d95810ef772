/// One way to cut the first lines of a file into columns.
struct Cut {
  let separator: Separator
  let quoting: Quoting
  /// The most frequent number of columns, and the records that have it.
  let columnCount: Int
  let records: [[[UInt8]]]
  let lines: [Int]
  /// The records as they stand in the file.
  let texts: [[UInt8]]
  let total: Int
  /// The first record of all, whether it fits or not.
  let first: [[UInt8]]
  let firstLine: Int
  /// Some record holds `\"`.
  let holdsBackslashQuotes: Bool

  /// nil where no record has two columns.
  init?(_ text: UnsafeRawBufferPointer, _ separator: Separator, _ quoting: Quoting, withUserOnly: Bool) {
    (self.separator, self.quoting) = (separator, quoting)
    var scanner = RecordScanner(
      text, separator: separator, quoting: quoting, storedFields: Sample.storedFields)
    var all: [(fields: [[UInt8]], line: Int, text: [UInt8])] = []
    while all.count < Sample.size, scanner.next() {
      // A record of more columns than are stored fits nothing.
      let count = scanner.fieldCount > Sample.storedFields ? 0 : scanner.fieldCount
      all.append(((0..<count).map { Array(scanner[$0]) }, scanner.line, Array(scanner.text.prefix(400))))
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
    columnCount = best
    records = fitting.map(\.fields)
    lines = fitting.map(\.line)
    texts = fitting.map(\.text)
    total = all.count
    self.first = first.fields
    firstLine = first.line
    holdsBackslashQuotes = all.contains { Self.holdsBackslashQuote($0.text) }
  }

  /// Tabs, spaces or bars with quotes.
  var isQuoted: Bool { quoting != .none && separator.usualQuoting == .none }

  /// Whether a larger share of the records fits.
  func fitsBetter(than other: Cut) -> Bool { records.count * other.total > other.records.count * total }
  func fitsAsWell(as other: Cut) -> Bool { !other.fitsBetter(than: self) }

  static func holdsBackslashQuote(_ text: some Collection<UInt8>) -> Bool {
    zip(text, text.dropFirst()).contains { $0 == UInt8(ascii: "\\") && $1 == UInt8(ascii: "\"") }
  }

  /// Whether each line, but perhaps the first, has a field in quotes.
  static func areQuoted(_ text: UnsafeRawBufferPointer, _ separator: Separator) -> Bool {
    let byte: UInt8 = separator == .tab ? 0x09 : separator == .pipe ? UInt8(ascii: "|") : 0x20
    let quote = UInt8(ascii: "\"")
    var (quoted, total) = (0, 0)
    var scanner = RecordScanner(text, separator: .first(byte), storedFields: 1)
    while total < Sample.size, scanner.next() {
      total += 1
      let line = scanner.text
      let opens = line.first == quote || zip(line, line.dropFirst()).contains { $0 == byte && $1 == quote }
      let closes = line.last == quote || zip(line, line.dropFirst()).contains { $0 == quote && $1 == byte }
      if opens && closes { quoted += 1 }
    }
    return quoted > 1 && quoted >= total - 1 || total == 1 && quoted == 1
  }
}
