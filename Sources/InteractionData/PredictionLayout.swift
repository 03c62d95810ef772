import SystemSupport

/// How a file of predictions is laid out.
enum PredictionLayout {
  case table(PredictionTable)
  /// JSON lines, whose keys each line names.
  case objects

  static let scoreNames = ["score", "prediction", "relevance"]
  static let rankNames = ["rank", "position"]

  var description: String {
    switch self {
    case .table(let table): table.description
    case .objects: "JSON lines, by their rank, or else their score"
    }
  }

  /// Fails with exit code 65 where the first line is of no known layout.
  static func detect(_ input: InputBytes) throws(ProgramFailure) -> PredictionLayout {
    var lines = RecordScanner(input.body, separator: .tab, quoting: Quoting.none, storedFields: 1)
    guard lines.next() else { throw ProgramFailure(.badData, "\(input.name): empty; it has no predictions") }
    let first = Array(lines.text)
    if first.first(where: { $0 != 0x20 }) == UInt8(ascii: "{") { return .objects }
    for separator in [Separator.comma, .tab, .semicolon, .pipe, .spaces] {
      guard let names = fields(of: input, separator) else { continue }
      if let table = try PredictionTable(header: names, separator, file: input.name, line: lines.line) { return .table(table) }
    }
    for separator in [Separator.tab, .spaces] {
      if let fields = fields(of: input, separator), isTREC(fields) { return .table(PredictionTable(trec: separator)) }
    }
    throw ProgramFailure(
      .badData,
      "\(input.name):\(lines.line): \(PrintableText.quoted(first)): no known layout of predictions; give a first line that names the "
        + "columns, such as user_id,item_id,score or user_id,item_id,rank, JSON lines {\"user_id\": ..., \"item_id\": ..., "
        + "\"rank\": ...}, or a TREC run: user Q0 item rank score name")
  }

  /// The first record.
  private static func fields(of input: InputBytes, _ separator: Separator) -> [String]? {
    var scanner = RecordScanner(input.body, separator: separator, storedFields: Sample.storedFields)
    guard scanner.next(), (3...Sample.storedFields).contains(scanner.fieldCount) else { return nil }
    return (0..<scanner.fieldCount).map { String(decoding: scanner[$0], as: UTF8.self) }
  }

  /// `user Q0 item rank score name`; programs write another constant for Q0, 0 for the most part.
  private static func isTREC(_ fields: [String]) -> Bool {
    func isNumber(_ text: String) -> Bool { WrittenNumber.parse(Array(text.utf8))?.isFinite ?? false }
    return fields.count == 6 && ["Q0", "q0", "0"].contains(fields[1]) && isNumber(fields[3]) && isNumber(fields[4])
  }
}

/// A table of predictions: which column is what.
struct PredictionTable {
  private let separator: Separator
  private let columnCount: Int
  private let (user, item, order): (Int, Int, Int)
  private let isRank: Bool
  private let isTREC: Bool
  /// Ids stand as `recommend --format tsv` writes them.
  private let isEscaped: Bool
  let description: String

  /// By the names of a header; nil where they name no user and item.
  init?(header: [String], _ separator: Separator, file: String, line: Int) throws(ProgramFailure) {
    guard let user = ColumnNames.place(of: ColumnNames.user, in: header),
      let item = ColumnNames.places(of: ColumnNames.item, in: header).first(where: { $0 != user })
    else { return nil }
    let rank = ColumnNames.place(of: PredictionLayout.rankNames, in: header)
    guard let order = rank ?? ColumnNames.place(of: PredictionLayout.scoreNames, in: header) else {
      throw ProgramFailure(
        .badData,
        "\(file):\(line): \(PrintableText.quoted(header.joined(separator: " ").utf8)): no column says in which order the items are "
          + "recommended; name one rank (1 is the best) or score (the highest is the best)")
    }
    self.separator = separator
    columnCount = header.count
    (self.user, self.item, self.order) = (user, item, order)
    isRank = rank != nil
    isTREC = false
    isEscaped = separator == .tab && header.starts(with: ["user_id", "item_id", "score", "rank"])
    let (names, role) = ([user, item, order].map { PrintableText.quoted(header[$0].utf8) }, isRank ? "rank" : "score")
    description =
      "columns separated by \(separator.description): user \(names[0]), item \(names[1]), by the \(role) \(names[2])"
  }

  init(trec separator: Separator) {
    self.separator = separator
    columnCount = 6
    (user, item, order) = (0, 2, 4)
    (isRank, isTREC, isEscaped) = (false, true, false)
    description = "TREC run, by the score"
  }

  func read(_ body: UnsafeRawBufferPointer, into rows: inout PredictionRows) throws(ProgramFailure) {
    var scanner = RecordScanner(body, separator: separator, storedFields: max(user, item, order) + 1)
    if !isTREC { _ = scanner.next() }
    while scanner.next() {
      guard scanner.fieldCount == columnCount else {
        throw rows.failure(
          scanner.line, scanner.text,
          scanner.hasBadQuotes ? "quotes that do not match" : "\(scanner.fieldCount) columns, expected \(columnCount)")
      }
      guard isEscaped, [scanner[user], scanner[item]].contains(where: { $0.contains(UInt8(ascii: "\\")) }) else {
        try rows.append(
          user: scanner[user], item: scanner[item], order: scanner[order], isRank: isRank, line: scanner.line, text: scanner.text)
        continue
      }
      guard let plainUser = TSVText.unescape(scanner[user]), let plainItem = TSVText.unescape(scanner[item]) else {
        throw rows.failure(
          scanner.line, scanner.text, "a backslash that none of t, r, n and \\ follows, in a file whose header is that of recommend's tsv")
      }
      try rows.append(plainUser, plainItem, order: scanner[order], isRank: isRank, line: scanner.line, text: scanner.text)
    }
  }
}

extension PredictionRows {
  mutating func append(
    _ user: [UInt8], _ item: [UInt8], order: UnsafeRawBufferPointer, isRank: Bool, line: Int, text: UnsafeRawBufferPointer
  ) throws(ProgramFailure) {
    // The closures are left before the rows are written.
    var failure: ProgramFailure?
    user.withUnsafeBytes { user in
      item.withUnsafeBytes { item in
        do throws(ProgramFailure) { try append(user: user, item: item, order: order, isRank: isRank, line: line, text: text) } catch {
          failure = error
        }
      }
    }
    if let failure { throw failure }
  }
}

/// JSON lines with keys for user, item and rank or score.
enum PredictionObjects {
  private struct Fields {
    var user: [UInt8]?
    var item: [UInt8]?
    var rank: [UInt8]?
    var score: [UInt8]?
  }

  static func read(_ body: UnsafeRawBufferPointer, into rows: inout PredictionRows) throws(ProgramFailure) {
    guard let bytes = body.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
    var records = ObjectRecords(body, dialect: .json, isLines: true)
    var areRanked: Bool?
    while records.next() {
      let (line, text) = (records.line, records.text)
      guard let object = records.object, let fields = fields(of: object, bytes) else {
        throw rows.failure(line, text, "no JSON object, or a key twice")
      }
      guard let user = fields.user, let item = fields.item else { throw rows.failure(line, text, "no user_id, or no item_id") }
      guard let order = fields.rank ?? fields.score else { throw rows.failure(line, text, "neither rank nor score") }
      // Ranks and scores cannot be compared.
      if let areRanked, areRanked != (fields.rank != nil) {
        throw rows.failure(line, text, areRanked ? "no rank, which the lines before have" : "a rank, which the lines before do not have")
      }
      areRanked = fields.rank != nil
      var failure: ProgramFailure?
      order.withUnsafeBytes { order in
        do throws(ProgramFailure) {
          try rows.append(user, item, order: order, isRank: fields.rank != nil, line: line, text: text)
        } catch {
          failure = error
        }
      }
      if let failure { throw failure }
    }
  }

  /// nil for what is no object, and for a key that says the same as another.
  private static func fields(of object: Range<Int>, _ bytes: UnsafePointer<UInt8>) -> Fields? {
    let cursor = JSONCursor(bytes, object, .json)
    guard var members = cursor.members() else { return nil }
    var fields = Fields()
    while let member = members.next() {
      let keyBytes = UnsafeRawBufferPointer(start: bytes + member.key.lowerBound, count: member.key.count)
      let name = ColumnNames.normalised(String(decoding: keyBytes, as: UTF8.self))
      let place: WritableKeyPath<Fields, [UInt8]?>
      switch name {
      case _ where PredictionLayout.rankNames.contains(name): place = \.rank
      case _ where PredictionLayout.scoreNames.contains(name): place = \.score
      case _ where ColumnNames.user.contains(name): place = \.user
      case _ where ColumnNames.item.contains(name): place = \.item
      default: continue
      }
      guard fields[keyPath: place] == nil, let text = text(of: member.value, cursor) else { return nil }
      fields[keyPath: place] = text
    }
    return members.isClosed ? fields : nil
  }

  private static func text(of value: JSONCursor.Value, _ cursor: JSONCursor) -> [UInt8]? {
    switch value {
    case .plain(let range): cursor.text(range, hasEscapes: false)
    case .string(let range, let hasEscapes): cursor.text(range, hasEscapes: hasEscapes)
    case .array, .object: nil
    }
  }
}
