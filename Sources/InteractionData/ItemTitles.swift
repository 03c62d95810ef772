import SystemSupport

/// Names of items for people to read, from a file of their own: of each item of a catalogue, or empty.
///
/// Read are tables whose first line names an item and a title (commas, tabs, semicolons or bars; RecBole's `.item`),
/// MovieLens' `movies.dat` and `u.item`, which have no such line: id, then title, and JSON or Python objects with such keys.
/// Compressed ones, too.
package struct ItemTitles: Sendable {
  /// UTF-8, item `i` at `i - 1`.
  private let titles: [[UInt8]]
  /// Items of the catalogue that the file has no title for.
  package let missingCount: Int

  /// - Parameters:
  ///   - catalogue: external ids of the items that matter.
  ///   - log: Gets a line on how the file is read, and one each on rows that are not.
  /// - Throws: Exit code 65, with the line, for a file of no known layout, where more than 1 % of the rows cannot be read, and
  ///   where it knows none of the items; 66 where it cannot be opened.
  package static func read(_ path: String, for catalogue: ExternalIDs, log: (String) -> Void) throws(ProgramFailure) -> ItemTitles {
    let input = try InputBytes(path)
    defer { withExtendedLifetime(input) {} }
    try ForeignFormats.refuse(input)
    var found = FoundTitles(input.name, catalogue)
    if let dialect = JSONLayoutDetection.dialect(of: input.body, nil) {
      let objects = try TitleObjects.detect(input, dialect)
      log("\(input.name): titles: \(objects.description)")
      objects.read(input.body, into: &found)
    } else {
      let table = try TitleTable.detect(input)
      log("\(input.name): titles: \(table.description)")
      table.read(input.body, into: &found)
    }
    let titles = try found.take(log: log)
    return ItemTitles(titles: titles.map { $0 ?? [] }, missingCount: titles.count { $0 == nil })
  }

  private init(titles: [[UInt8]], missingCount: Int) { (self.titles, self.missingCount) = (titles, missingCount) }

  /// UTF-8; empty where the file has none. `item` from 1.
  package subscript(item: Int32) -> [UInt8] { titles[Int(item) - 1] }
}

/// How a file of titles is laid out.
struct TitleTable {
  let separator: Separator
  let hasHeader: Bool
  let columnCount: Int
  let item: Int
  let title: Int

  var description: String {
    "columns separated by \(separator.description), item: column \(item + 1), title: column \(title + 1)"
      + (hasHeader ? "" : " (no header)")
  }

  static func detect(_ input: InputBytes) throws(ProgramFailure) -> TitleTable {
    var line = 0
    var first: [UInt8] = []
    for separator in [Separator.doubleColon, .tab, .comma, .semicolon, .pipe] {
      var scanner = RecordScanner(input.body, separator: separator, storedFields: Sample.storedFields)
      guard scanner.next() else { break }
      (line, first) = (scanner.line, Array(scanner.text))
      let count = scanner.fieldCount
      guard (2...Sample.storedFields).contains(count) else { continue }
      let names = (0..<count).map { String(decoding: scanner[$0], as: UTF8.self) }
      if let title = ColumnNames.place(of: ColumnNames.title, in: names),
        let item = ColumnNames.places(of: ColumnNames.item, in: names).first(where: { $0 != title })
      {
        return TitleTable(separator: separator, hasHeader: true, columnCount: count, item: item, title: title)
      }
      // movies.dat has 3 columns, u.item 24.
      if (separator == .doubleColon && count == 3) || (separator == .pipe && count == 24) {
        return TitleTable(separator: separator, hasHeader: false, columnCount: count, item: 0, title: 1)
      }
    }
    if first.isEmpty { throw ProgramFailure(.badData, "\(input.name): empty; it has no titles") }
    throw ProgramFailure(
      .badData,
      "\(input.name):\(line): \(PrintableText.quoted(first)): no known layout of titles; give a table whose first line names an item "
        + "and a title, such as item_id,title, or MovieLens' movies.dat or u.item")
  }

  func read(_ body: UnsafeRawBufferPointer, into found: inout FoundTitles) {
    var scanner = RecordScanner(body, separator: separator, storedFields: max(item, title) + 1)
    if hasHeader { _ = scanner.next() }
    while scanner.next() {
      if scanner.fieldCount == columnCount, !scanner.hasBadQuotes {
        found.add(scanner[item], scanner[title])
      } else {
        found.note("not the \(columnCount) columns of the other rows", scanner.line, scanner.text)
      }
    }
  }
}
