import SystemSupport

/// The first records of a file, as columns: what its layout is inferred from.
struct Sample {
  /// Records, at most.
  static let size = 100
  /// Bytes that they are taken from, of whole lines; of a first line that is longer, as much as a line may have in reason.
  static let blockSize = 1 << 16
  static let longestLine = 1 << 20
  /// Fields of a record, at most.
  static let storedFields = 256

  let file: String
  /// Of a header, or JSON's keys; nil where there is none.
  var names: [String]?
  /// Line of the header, or of the first record.
  var firstLine: Int
  let columnCount: Int
  /// Fields of each record.
  var records: [[[UInt8]]]
  var lines: [Int]

  func values(of column: Int) -> [[UInt8]] { records.map { column < $0.count ? $0[column] : [] } }

  func content(of column: Int) -> ColumnContent { ColumnContent(values(of: column)) }

  /// How a message speaks of a column: `column 5 "created_at"`.
  func called(_ column: Int) -> String {
    "column \(column + 1)" + (names.map { " " + PrintableText.quoted($0[column].utf8) } ?? "")
  }

  /// How `--columns` may name it: by its name, where that is plain and no number, else by its number.
  func choice(of column: Int) -> String {
    guard let name = names?[column], PrintableText.isPlain(name), Int(name) == nil, name != "none" else { return "\(column + 1)" }
    return name
  }

  /// As `called`, with a value: `column 5 "created_at" ("2019-10-01")`.
  func shown(_ column: Int) -> String { "\(called(column)) (\(PrintableText.short(content(of: column).example)))" }

  func shown(_ columns: [Int]) -> String {
    columns.prefix(8).map(shown).joined(separator: ", ") + (columns.count > 8 ? ", ..." : "")
  }

  func failure(_ reason: String) -> ProgramFailure { ProgramFailure(.badData, "\(file):\(firstLine): \(reason)") }

  /// A column that was named and is not there.
  func lacks(_ column: ColumnChoice.Column, _ role: String) -> ProgramFailure {
    guard case .named(let name) = column else { return failure("no column for the \(role)") }
    return ProgramFailure(
      .badData,
      "\(file):\(firstLine): there is no column \(PrintableText.quoted(name.utf8)) for the \(role); there are "
        + shown(Array(0..<columnCount)))
  }
}

/// Which column is what.
struct ColumnRoles: Equatable, Sendable {
  struct Time: Equatable, Sendable {
    var column: Int
    var format: TimeFormat
    var hasZone = false
    /// A second column that is added: a time of the day, or milliseconds.
    var clock: Clock?
  }

  struct Clock: Equatable, Sendable {
    var column: Int
    var isMilliseconds: Bool
  }

  var user: Int
  var item: Int
  var time: Time?
  var rating: Int?
  var event: Int?
  /// The item column holds several items.
  var list: ListSyntax?
  /// RecBole's `item_id_list`: the items before the one of the row.
  var history: Int?

  /// Columns that are read.
  var used: [Int] {
    [user, item, time?.column, time?.clock?.column, rating, event, history].compactMap { $0 }
  }
}

extension ColumnRoles {
  /// Ratings and events are read for filters alone.
  func needed(by filters: InteractionFilters) -> ColumnRoles {
    var roles = self
    if filters.minimumRating == nil { roles.rating = nil }
    if filters.events == nil { roles.event = nil }
    return roles
  }

  /// One line for each column: what it is taken for, or that it is not used, with a value.
  func description(_ sample: Sample) -> [String] {
    var lines = [
      "  user: \(sample.called(user))",
      "  item: \(sample.called(item))" + (list.map { ", lists separated by \($0.description)" } ?? ""),
    ]
    if let history {
      lines.append(
        "  earlier items: \(sample.called(history)); a user's rows are joined to one history"
          + (history == item ? "" : ", the item of a row behind its list"))
    }
    if let time {
      var text = "  time: \(sample.called(time.column)), \(time.hasZone ? "ISO-8601 text with zone" : time.format.description)"
      if let clock = time.clock {
        text += ", and \(sample.called(clock.column)), \(clock.isMilliseconds ? "milliseconds" : "time of the day")"
      }
      lines.append(text)
    } else {
      lines.append("  time: none, the order of the file counts")
    }
    if let rating { lines.append("  rating: \(sample.called(rating))") }
    if let event { lines.append("  event: \(sample.called(event))") }
    let unused = (0..<sample.columnCount).filter { !used.contains($0) }
    for column in unused {
      let example = sample.content(of: column).example
      lines.append(
        "  not used: \(sample.called(column)) "
          + (example.isEmpty ? "(empty)" : "(such as \(PrintableText.short(example)))"))
    }
    return lines
  }
}
