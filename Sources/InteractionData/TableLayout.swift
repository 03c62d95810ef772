/// How the lines of one file are read: what stands between columns, and which column is what.
struct TableLayout: Equatable, Sendable {
  struct TimeColumn: Equatable, Sendable {
    var index: Int
    var format: TimeFormat
  }

  var separator: Separator
  var columnCount: Int
  var user: Int
  var item: Int
  var time: TimeColumn?
  var hasHeader: Bool
  /// Names of the columns, for messages: those of the header, or what was inferred.
  var columnNames: [String]
  /// What the format is called, such as "pairs separated by one space".
  var title: String
  /// What the user should look at, if anything.
  var note: String?

  /// One line for the user.
  var description: String {
    let timeText = time.map { "time: \($0.format.description)" } ?? "time: none, the order of the lines counts"
    return "read as: \(title); columns: \(columnNames.joined(separator: ", ")) "
      + "(user: column \(user + 1), item: column \(item + 1)); \(timeText)" + (note.map { "; " + $0 } ?? "")
  }

  /// Whether files of both layouts can be one data set: names and units may differ, the meaning of columns may not.
  func isCompatible(with other: TableLayout) -> Bool {
    separator == other.separator && columnCount == other.columnCount && user == other.user && item == other.item
      && time?.index == other.time?.index
  }
}

/// Names under which headers have the columns, best first; compared without case, `_`, `-` and spaces, and without
/// RecBole's types.
enum ColumnNames {
  static let user = [
    "userid", "user", "uid", "reviewerid", "visitorid", "customerid", "username", "sessionid", "session",
  ]
  static let item = [
    "itemid", "item", "iid", "movieid", "parentasin", "asin", "productid", "product", "businessid", "bookid", "trackid",
    "songid", "articleid",
  ]
  static let time = ["timestamp", "datetime", "time", "unixreviewtime", "eventtime", "date", "ts"]

  private static let recBoleTypes = ["token", "float", "token_seq", "float_seq"]

  /// Whether a field is a name of a RecBole atomic file's header, such as `user_id:token`.
  static func isTyped(_ field: String) -> Bool {
    guard let colon = field.lastIndex(of: ":") else { return false }
    return recBoleTypes.contains(String(field[field.index(after: colon)...]))
  }

  static func withoutType(_ field: String) -> String {
    guard isTyped(field), let colon = field.lastIndex(of: ":") else { return field }
    return String(field[..<colon])
  }

  static func normalised(_ field: String) -> String {
    withoutType(field).lowercased().filter { $0 != "_" && $0 != "-" && $0 != " " }
  }

  /// The place of the column that has the best of `names`.
  static func place(of names: [String], in fields: [String]) -> Int? {
    for name in names {
      if let place = fields.firstIndex(of: name) { return place }
    }
    return nil
  }
}
