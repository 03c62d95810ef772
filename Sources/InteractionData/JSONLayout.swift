import SystemSupport

/// How the objects of a file are read.
struct JSONLayout: Sendable {
  /// A key, or the keys that lead to it.
  struct Path: Hashable, Sendable {
    var keys: [String]
    /// How many of the keys lead to an array of objects, of which each is an interaction; 0 for none.
    var arrayDepth = 0

    /// As messages and `--columns` have it.
    var name: String { keys.joined(separator: ".") }
    var array: [String]? { arrayDepth == 0 ? nil : Array(keys[..<arrayDepth]) }
  }

  var dialect: ObjectDialect
  /// An object per line; else one after another, perhaps in an array.
  var isLines: Bool
  /// Where each column is found.
  var paths: [Path]
  var roles: ColumnRoles
  var title: String
  var details: [String]

  /// The array of objects that are interactions.
  var events: [String]? { paths[roles.item].array }

  func isCompatible(with other: JSONLayout) -> Bool {
    paths[roles.user] == other.paths[other.roles.user] && paths[roles.item] == other.paths[other.roles.item]
      && roles.time.map { paths[$0.column] } == other.roles.time.map { other.paths[$0.column] }
  }
}

/// Finds out which keys of a file's first objects are what.
struct JSONLayoutDetection {
  private static let mostColumns = 256
  private static let mostEvents = 25
  private static let mostNested = 8
  private static let longestValue = 4096

  let name: String
  let body: UnsafeRawBufferPointer
  let dialect: ObjectDialect
  let options: LoadingOptions

  /// The dialect where a file begins as an object or dictionary does: `{"`, `[{"`, `{u'`, or where it is named.
  static func dialect(of body: UnsafeRawBufferPointer, _ format: DataFormat?) -> ObjectDialect? {
    switch format {
    case .json?: return .json
    case .python?: return .python
    case .some: return nil
    case nil: break
    }
    guard let quote = ForeignFormats.quoteOfFirstKey(body) else { return nil }
    guard quote == UInt8(ascii: "\"") else { return .python }
    // Python prints a key with an apostrophe in it between such quotes.
    return !firstLineIsObject(body, .json) && firstLineIsObject(body, .python) ? .python : .json
  }

  func detect() throws(ProgramFailure) -> JSONLayout? {
    guard let base = body.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return nil }
    let isLines = Self.firstLineIsObject(body, dialect)
    var found = Columns()
    var records = ObjectRecords(body, dialect: dialect, isLines: isLines)
    while found.rows.count < Sample.size, found.records < Sample.size, records.next() {
      guard let range = records.object else { continue }
      var row: [Int: [UInt8]] = [:]
      var events: [[Int: [UInt8]]] = []
      var cursor = JSONCursor(base, range, dialect)
      guard collect(&cursor, [], 0, &found, &row, &events) else { continue }
      found.records += 1
      for fields in events.isEmpty ? [row] : events.map({ $0.merging(row) { own, _ in own } }) {
        found.rows.append(fields)
        found.lines.append(records.line)
      }
    }
    guard !found.rows.isEmpty else {
      if records.line == 0 { return nil }
      throw ProgramFailure(
        .badData,
        "\(name):\(max(1, records.line)): \(PrintableText.quoted(records.text)): not \(Self.title(dialect, isLines)) with "
          + "members; the first object cannot be read")
    }
    return try layout(found, isLines)
  }

  private static func title(_ dialect: ObjectDialect, _ isLines: Bool) -> String {
    switch (dialect, isLines) {
    case (.json, true): "JSON lines"
    case (.json, false): "JSON objects"
    case (.python, true): "Python dictionaries, one per line"
    case (.python, false): "Python dictionaries"
    }
  }

  private func layout(_ found: Columns, _ isLines: Bool) throws(ProgramFailure) -> JSONLayout {
    func sample(_ kept: [Int]) -> Sample {
      Sample(
        file: name, names: kept.map { found.paths[$0].name }, firstLine: found.lines[0], columnCount: kept.count,
        records: found.rows.map { row in kept.map { row[$0] ?? [] } }, lines: found.lines)
    }
    let all = Array(found.paths.indices)
    let names = found.paths.map(\.name)
    let item =
      options.columns.item.flatMap { $0.place(in: names, count: names.count) }
      ?? ColumnNames.place(of: ColumnNames.item, in: names)
    // Interactions are the objects themselves, or those of one array in them.
    let array = item.flatMap { found.paths[$0].array }
    let kept = all.filter { found.paths[$0].array == nil || found.paths[$0].array == array }
    let wanted = sample(kept.isEmpty ? all : kept)
    let roles = try NamedRoles(wanted, names: wanted.names ?? [], options: options).roles()
    return JSONLayout(
      dialect: dialect, isLines: isLines, paths: (kept.isEmpty ? all : kept).map { found.paths[$0] }, roles: roles,
      title: Self.title(dialect, isLines)
        + (array.map { ", an interaction per object of \(PrintableText.name($0.joined(separator: ".")))" } ?? ""),
      details: roles.description(wanted))
  }

  static func firstLineIsObject(_ body: UnsafeRawBufferPointer, _ dialect: ObjectDialect) -> Bool {
    guard let base = body.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return false }
    let line = body.prefix { $0 != 0x0A }
    var cursor = JSONCursor(base, 0..<line.count, dialect)
    guard case .object? = cursor.value() else { return false }
    cursor.skipSpace()
    _ = cursor.skip(",")
    cursor.skipSpace()
    return cursor.place == cursor.end
  }

  /// What the first objects hold.
  private struct Columns {
    var paths: [JSONLayout.Path] = []
    var places: [JSONLayout.Path: Int] = [:]
    /// Interactions: values by column.
    var rows: [[Int: [UInt8]]] = []
    var lines: [Int] = []
    var records = 0

    mutating func column(_ path: JSONLayout.Path) -> Int? {
      if let place = places[path] { return place }
      guard paths.count < JSONLayoutDetection.mostColumns else { return nil }
      paths.append(path)
      places[path] = paths.count - 1
      return paths.count - 1
    }
  }

  /// Notes the values of an object, those of objects in it, and those of arrays of objects as rows of their own; false
  /// where it is not well-formed.
  private func collect(
    _ cursor: inout JSONCursor, _ keys: [String], _ arrayDepth: Int, _ found: inout Columns, _ row: inout [Int: [UInt8]],
    _ events: inout [[Int: [UInt8]]]
  ) -> Bool {
    guard var members = cursor.members() else { return false }
    while let member = members.next() {
      guard let keyText = text(member.key, member.hasEscapes, cursor) else { return false }
      let path = JSONLayout.Path(keys: keys + [String(decoding: keyText, as: UTF8.self)], arrayDepth: arrayDepth)
      switch member.value {
      case .string(let range, let hasEscapes):
        guard let bytes = text(range, hasEscapes, cursor) else { return false }
        if let column = found.column(path) { row[column] = bytes }
      case .plain(let range):
        if let column = found.column(path) { row[column] = raw(range, cursor) }
      case .object(let range):
        if path.keys.count >= Self.mostNested { continue }
        var inner = JSONCursor(cursor.bytes, range, dialect)
        if !collect(&inner, path.keys, arrayDepth, &found, &row, &events) { return false }
      case .array(let range):
        if !collectArray(range, path, cursor, &found, &row, &events) { return false }
      }
    }
    cursor.place = members.cursor.place
    return members.isClosed
  }

  private func collectArray(
    _ range: Range<Int>, _ path: JSONLayout.Path, _ cursor: JSONCursor, _ found: inout Columns, _ row: inout [Int: [UInt8]],
    _ events: inout [[Int: [UInt8]]]
  ) -> Bool {
    var inner = JSONCursor(cursor.bytes, (range.lowerBound + 1)..<range.upperBound, dialect)
    inner.skipSpace()
    guard inner.place < inner.end, inner.bytes[inner.place] == UInt8(ascii: "{"), path.arrayDepth == 0 else {
      if let column = found.column(path) { row[column] = raw(range, cursor) }
      return true
    }
    var isFirst = true
    for _ in 0..<Self.mostEvents {
      guard inner.hasNext("]", isFirst: isFirst) == true, case .object(let object)? = inner.value() else { break }
      isFirst = false
      var event: [Int: [UInt8]] = [:]
      var deeper: [[Int: [UInt8]]] = []
      var member = JSONCursor(cursor.bytes, object, dialect)
      if !collect(&member, path.keys, path.keys.count, &found, &event, &deeper) { return false }
      events.append(event)
    }
    return true
  }

  private func raw(_ range: Range<Int>, _ cursor: JSONCursor) -> [UInt8] {
    Self.shortened(UnsafeRawBufferPointer(start: cursor.bytes + range.lowerBound, count: range.count))
  }

  private func text(_ range: Range<Int>, _ hasEscapes: Bool, _ cursor: JSONCursor) -> [UInt8]? {
    cursor.text(range, hasEscapes: hasEscapes).map { $0.withUnsafeBytes(Self.shortened) }
  }

  private static func shortened(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
    // A list shows by its brackets what it is, however long it is.
    bytes.count <= longestValue ? Array(bytes) : bytes.prefix(longestValue) + bytes.suffix(1)
  }
}
