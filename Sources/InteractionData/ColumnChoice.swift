import SystemSupport

/// Columns that a user named: `user=customer,item=3,time=none`.
public struct ColumnChoice: Sendable, Equatable {
  /// A column by the header's name (a path such as `events.aid` in JSON), or by its number from 1.
  public enum Column: Sendable, Equatable {
    case named(String)
    case none
  }

  /// Whose history a row belongs to.
  public var user: Column?
  /// What the user met.
  public var item: Column?
  /// `none`: the order of the file counts.
  public var time: Column?
  /// For `minimumRating`.
  public var rating: Column?
  /// For `events`.
  public var event: Column?
  /// `none`: the first line is no header, whatever it looks like.
  public var header: Column?

  /// No column is named.
  public init() {}

  /// Names that are found without being named, a line for each role.
  public static var acceptedNames: String {
    [
      ("users", ColumnNames.user), ("items", ColumnNames.item), ("times", ColumnNames.time), ("ratings", ColumnNames.rating),
      ("events", ColumnNames.event),
    ].map { "  \($0.0): \($0.1.joined(separator: " "))" }.joined(separator: "\n")
  }

  static let roles = ["user", "item", "time", "rating", "event", "session"]

  /// Reads `role=column,...`; exit code 64 for anything else, which `origin` (such as "--columns") is blamed for.
  /// `session` makes each session a history of its own, in the user's place.
  public init(_ text: String, origin: String) throws(ProgramFailure) {
    var seen: Set<String> = []
    for part in text.split(separator: ",", omittingEmptySubsequences: true) {
      let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let role = sides[0].lowercased().filter { $0 != " " }
      let value = sides.count == 2 ? Self.trimmed(sides[1]) : ""
      guard sides.count == 2, !value.isEmpty, Self.roles.contains(role) || role == "header" else {
        throw ProgramFailure(
          .usage,
          "\(origin): \"\(part)\" is not ROLE=COLUMN; roles are \(Self.roles.joined(separator: ", ")), a column is a name or a "
            + "number from 1, such as user=customer,item=3,time=none")
      }
      guard seen.insert(role).inserted else { throw ProgramFailure(.usage, "\(origin): \(role) is named twice") }
      try set(role, value, origin)
    }
    if seen.contains("user") && seen.contains("session") {
      throw ProgramFailure(.usage, "\(origin): a history belongs to a user or to a session; name one of the two")
    }
  }

  private mutating func set(_ role: String, _ value: String, _ origin: String) throws(ProgramFailure) {
    let column: Column = value == "none" ? .none : .named(value)
    switch role {
    case "user", "session", "item":
      guard column != .none else { throw ProgramFailure(.usage, "\(origin): there must be a column for the \(role)") }
      if role == "item" { item = column } else { user = column }
    case "time": time = column
    case "rating": rating = column
    case "event": event = column
    default:
      guard column == .none else { throw ProgramFailure(.usage, "\(origin): header can only be none") }
      header = column
    }
  }

  private static func trimmed(_ text: Substring) -> String {
    var text = text
    while text.first == " " { text.removeFirst() }
    while text.last == " " { text.removeLast() }
    return String(text)
  }

  /// Whether any column has a name that is no number, so that there must be a header.
  var needsHeader: Bool {
    [user, item, time, rating, event].contains { $0?.isName ?? false }
  }
}

extension ColumnChoice.Column {
  /// Neither a number nor none.
  var isName: Bool {
    if case .named(let name) = self { Int(name) == nil } else { false }
  }

  /// The place of the column among `names` (those of a header, or of JSON's keys), or among `count` columns by number.
  func place(in names: [String]?, count: Int) -> Int? {
    guard case .named(let name) = self else { return nil }
    if let names {
      if let exact = names.firstIndex(of: name) { return exact }
      let wanted = ColumnNames.normalised(name)
      let alike = names.indices.filter { ColumnNames.normalised(names[$0]) == wanted }
      if alike.count == 1 { return alike[0] }
      let last = names.indices.filter { ColumnNames.lastComponent(names[$0]) == name }
      if last.count == 1 { return last[0] }
    }
    guard let number = Int(name), number >= 1, number <= count else { return nil }
    return number - 1
  }
}
