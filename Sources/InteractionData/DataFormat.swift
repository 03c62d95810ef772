import SystemSupport

/// The layouts that `--format` and `data_format` name.
public enum DataFormat: String, Sendable, CaseIterable {
  case pairs, csv, tsv, semicolons, colons, pipes, spaces, lists, json, python, netflix
  case backslashCSV = "csv-backslash"

  /// What a user reads about it.
  public var help: String {
    switch self {
    case .pairs: "user item, a space or a tab between"
    case .csv: "columns separated by commas, quotes doubled inside quotes"
    case .backslashCSV: "the same, quotes inside quotes after a backslash (Spark, Hive, MySQL)"
    case .tsv: "columns separated by tabs"
    case .semicolons: "columns separated by ';'"
    case .colons: "columns separated by '::'"
    case .pipes: "columns separated by '|'"
    case .spaces: "columns separated by spaces"
    case .lists: "user item item ..., a line per user, the oldest first"
    case .json: "JSON lines, or one JSON array of objects"
    case .python: "Python dictionaries, one per line"
    case .netflix: "'movie:' above lines customer,rating,date"
    }
  }

  /// Reads a name; exit code 64 for an unknown one, which `origin` (such as "--format") is blamed for.
  public static func named(_ name: String, origin: String) throws(ProgramFailure) -> DataFormat {
    if let format = DataFormat(rawValue: name.lowercased()) { return format }
    throw ProgramFailure(
      .usage,
      "\(origin): no format is called \"\(name)\"; there are \(allCases.map(\.rawValue).joined(separator: ", "))")
  }

  /// What stands between columns; nil where there are none.
  var separator: Separator? {
    switch self {
    case .pairs: .pairs
    case .csv, .backslashCSV: .comma
    case .tsv: .tab
    case .semicolons: .semicolon
    case .colons: .doubleColon
    case .pipes: .pipe
    case .spaces: .spaces
    case .lists, .json, .python, .netflix: nil
    }
  }
}
