import SystemSupport

/// Titles in JSON or Python objects: the keys that name an item and its title, which the first objects show.
struct TitleObjects {
  private let dialect: ObjectDialect
  private let isLines: Bool
  private let item: String
  private let title: String

  /// Fails with exit code 65 where no keys of the first objects are those of an item and a title.
  static func detect(_ input: InputBytes, _ dialect: ObjectDialect) throws(ProgramFailure) -> TitleObjects {
    defer { withExtendedLifetime(input) {} }
    let isLines = JSONLayoutDetection.firstLineIsObject(input.body, dialect)
    var records = ObjectRecords(input.body, dialect: dialect, isLines: isLines)
    var names: [String] = []
    for _ in 0..<Sample.size {
      guard records.next() else { break }
      guard let object = records.object else { continue }
      for name in members(of: object, input.body, dialect)?.map(\.key) ?? [] where !names.contains(name) { names.append(name) }
    }
    guard let title = ColumnNames.place(of: ColumnNames.title, in: names),
      let item = (ColumnNames.places(of: ColumnNames.item, in: names) + ColumnNames.places(of: ["id"], in: names))
        .first(where: { $0 != title })
    else {
      let text = PrintableText.quoted(records.text)
      throw ProgramFailure(
        .badData,
        "\(input.name):\(max(1, records.line)): \(text): no known layout of titles; give objects with keys for an item and a title, such "
          + "as {\"item_id\": ..., \"title\": ...}; the first ones have \(names.isEmpty ? "none" : names.joined(separator: ", "))")
    }
    return TitleObjects(dialect: dialect, isLines: isLines, item: names[item], title: names[title])
  }

  var description: String {
    "\(dialect == .json ? "JSON" : "Python") objects, item: \(PrintableText.quoted(item.utf8)), title: \(PrintableText.quoted(title.utf8))"
  }

  func read(_ body: UnsafeRawBufferPointer, into found: inout FoundTitles) {
    var records = ObjectRecords(body, dialect: dialect, isLines: isLines)
    while records.next() {
      guard let object = records.object, let members = Self.members(of: object, body, dialect) else {
        found.note("no object", records.line, records.text)
        continue
      }
      let ids = members.filter { $0.key == item }
      guard ids.count == 1, !MissingValue.isOne(ids[0].text) else {
        found.note(ids.count > 1 ? "a key twice" : "no \(PrintableText.quoted(item.utf8))", records.line, records.text)
        continue
      }
      // Whoever has no title has none to show.
      guard let text = members.first(where: { $0.key == title })?.text, !MissingValue.isOne(text) else { continue }
      ids[0].text.withUnsafeBytes { id in text.withUnsafeBytes { found.add(id, $0) } }
    }
  }

  /// Keys and values of an object that are strings or plain; nil where it is not well-formed.
  private static func members(
    of object: Range<Int>, _ body: UnsafeRawBufferPointer, _ dialect: ObjectDialect
  ) -> [(key: String, text: [UInt8])]? {
    guard let bytes = body.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return nil }
    func text(_ range: Range<Int>, _ hasEscapes: Bool, _ cursor: JSONCursor) -> [UInt8]? {
      if !hasEscapes { return Array(UnsafeRawBufferPointer(start: bytes + range.lowerBound, count: range.count)) }
      var storage = GrowableStorage<UInt8>()
      return cursor.unescape(range, into: &storage) ? Array(storage.elements) : nil
    }
    var cursor = JSONCursor(bytes, object, dialect)
    guard cursor.skip("{") else { return nil }
    var members: [(key: String, text: [UInt8])] = []
    var isFirst = true
    while let more = cursor.hasNext("}", isFirst: isFirst) {
      if !more { return members }
      isFirst = false
      guard let key = cursor.key(), let name = text(key.range, key.hasEscapes, cursor), let value = cursor.value() else { return nil }
      let found: [UInt8]?
      switch value {
      case .plain(let range): found = text(range, false, cursor)
      case .string(let range, let hasEscapes): found = text(range, hasEscapes, cursor)
      case .array, .object: continue
      }
      guard let found else { return nil }
      members.append((String(decoding: name, as: UTF8.self), found))
    }
    return nil
  }
}
