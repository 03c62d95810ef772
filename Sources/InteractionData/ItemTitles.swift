import SystemSupport

/// Names of items for people to read, from a file of their own: of each item of a catalogue, or empty.
///
/// Read are tables whose first line names an item and a title (commas, tabs, semicolons or bars; RecBole's `.item`), and
/// MovieLens' `movies.dat` and `u.item`, which have no such line: id, then title. Compressed ones, too.
public struct ItemTitles: Sendable {
  /// UTF-8, item `i` at `i - 1`.
  private let titles: [[UInt8]]
  /// Items of the catalogue that the file has no title for.
  public let missingCount: Int

  static let names = [
    "title", "itemtitle", "movietitle", "producttitle", "booktitle", "songtitle", "tracktitle", "gametitle", "newstitle", "name",
    "itemname", "productname", "moviename", "bookname", "trackname", "songname", "artistname", "appname", "gamename", "businessname",
  ]

  /// - Parameters:
  ///   - catalogue: external ids of the items that matter.
  ///   - log: Gets a line on how the file is read, and one each on rows that are not.
  /// - Throws: Exit code 65, with the line, for a file of no known layout, where more than 1 % of the rows cannot be read, and
  ///   where it knows none of the items; 66 where it cannot be opened.
  public static func read(_ path: String, for catalogue: ExternalIDs, log: (String) -> Void) throws(Failure) -> ItemTitles {
    let input = try InputBytes(path)
    defer { withExtendedLifetime(input) {} }
    try ForeignFormats.refuse(input)
    let table = try TitleTable.detect(input)
    log("\(input.name): titles: \(table.description)")

    let index = ItemIndex(catalogue)
    var titles = [[UInt8]?](repeating: nil, count: catalogue.count)
    var (rowCount, badCount, otherCount) = (0, 0, 0)
    var firstBad: (line: Int, text: [UInt8])?
    var someID: [UInt8] = []
    var scanner = table.scanner(input.body)
    while scanner.next() {
      if rowCount & 0xFFFF == 0 { Liveness.tick() }
      rowCount += 1
      guard table.accepts(scanner) else {
        badCount += 1
        if firstBad == nil { firstBad = (scanner.line, Array(scanner.text)) }
        continue
      }
      let id = scanner[table.item]
      if someID.isEmpty { someID = Array(id) }
      guard let item = index.item(id) else { continue }
      let title = text(scanner[table.title])
      if let before = titles[Int(item) - 1] {
        // The first one counts.
        if before != title { otherCount += 1 }
      } else {
        titles[Int(item) - 1] = title
      }
    }
    if let firstBad {
      let what =
        "\(input.name):\(firstBad.line): \(PrintableText.quoted(firstBad.text)): not the \(table.columnCount) columns of the other rows"
      if badCount * 100 > rowCount { throw Failure(.badData, "\(what); \(badCount) of \(rowCount) rows are such: correct the file") }
      log("\(what); \(badCount) of \(rowCount) rows are left out")
    }
    if otherCount > 0 { log("\(input.name): \(otherCount) rows give an item another title than an earlier one, which counts") }
    guard titles.contains(where: { $0 != nil }) else {
      let ours = catalogue.count > 0 ? PrintableText.quoted(catalogue[0]) : "none"
      throw Failure(
        .badData,
        "\(input.name): none of its items is one of the model's: its ids are such as \(PrintableText.quoted(someID)), the model's such as "
          + "\(ours); give the file whose ids the model was trained on")
    }
    return ItemTitles(titles: titles.map { $0 ?? [] }, missingCount: titles.count { $0 == nil })
  }

  private init(titles: [[UInt8]], missingCount: Int) { (self.titles, self.missingCount) = (titles, missingCount) }

  /// UTF-8; empty where the file has none. `item` from 1.
  public subscript(item: Int32) -> [UInt8] { titles[Int(item) - 1] }

  /// A title that is not UTF-8 is in ISO 8859-1, as MovieLens' are. Control characters, which no title needs, become spaces.
  private static func text(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
    let text = String(validating: bytes, as: UTF8.self) ?? String(String.UnicodeScalarView(bytes.map { UnicodeScalar($0) }))
    return text.utf8.map { $0 < 0x20 || $0 == 0x7F ? 0x20 : $0 }
  }
}

/// How a file of titles is laid out.
private struct TitleTable {
  let separator: Separator
  let hasHeader: Bool
  let columnCount: Int
  let item: Int
  let title: Int

  var description: String {
    "columns separated by \(separator.description), item: column \(item + 1), title: column \(title + 1)"
      + (hasHeader ? "" : " (no header)")
  }

  static func detect(_ input: InputBytes) throws(Failure) -> TitleTable {
    var line = 0
    var first: [UInt8] = []
    for separator in [Separator.doubleColon, .tab, .comma, .semicolon, .pipe] {
      var scanner = RecordScanner(input.body, separator: separator, storedFields: LayoutDetection.storedFields)
      guard scanner.next() else { break }
      (line, first) = (scanner.line, Array(scanner.text))
      let count = scanner.fieldCount
      guard (2...LayoutDetection.storedFields).contains(count) else { continue }
      let names = (0..<count).map { String(decoding: scanner[$0], as: UTF8.self) }
      if let title = ColumnNames.place(of: ItemTitles.names, in: names),
        let item = ColumnNames.places(of: ColumnNames.item, in: names).first(where: { $0 != title })
      {
        return TitleTable(separator: separator, hasHeader: true, columnCount: count, item: item, title: title)
      }
      // movies.dat has 3 columns, u.item 24.
      if (separator == .doubleColon && count == 3) || (separator == .pipe && count == 24) {
        return TitleTable(separator: separator, hasHeader: false, columnCount: count, item: 0, title: 1)
      }
    }
    if first.isEmpty { throw Failure(.badData, "\(input.name): empty; it has no titles") }
    throw Failure(
      .badData,
      "\(input.name):\(line): \(PrintableText.quoted(first)): no known layout of titles; give a table whose first line names an item "
        + "and a title, such as item_id,title, or MovieLens' movies.dat or u.item")
  }

  /// Behind the header.
  func scanner(_ body: UnsafeRawBufferPointer) -> RecordScanner {
    var scanner = RecordScanner(body, separator: separator, storedFields: max(item, title) + 1)
    if hasHeader { _ = scanner.next() }
    return scanner
  }

  func accepts(_ scanner: borrowing RecordScanner) -> Bool { scanner.fieldCount == columnCount && !scanner.hasBadQuotes }
}
