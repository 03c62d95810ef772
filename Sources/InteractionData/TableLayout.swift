/// How the lines of one file are read: what stands between columns, and which column is what.
struct TableLayout: Sendable {
  var separator: Separator
  var quoting: Quoting
  var columnCount: Int
  var hasHeader: Bool
  var roles: ColumnRoles
  /// What the format is called, such as "pairs separated by one space".
  var title: String
  /// Lines about the columns, for the user.
  var details: [String]

  /// Lines of a user with one item, or with a list: a user alone has none.
  var isOfPairs: Bool {
    if case .first = separator { return true }
    return separator == .pairs || columnCount == 2 && roles.list != nil
  }

  /// Whether files of both layouts can be one data set: names and units may differ, the meaning of columns may not.
  func isCompatible(with other: TableLayout) -> Bool {
    separator == other.separator && columnCount == other.columnCount && roles.user == other.roles.user
      && roles.item == other.roles.item && roles.time?.column == other.roles.time?.column
      && (roles.list == nil) == (other.roles.list == nil) && roles.history == other.roles.history
  }
}

/// How a file is read.
enum FileLayout: Sendable {
  case table(TableLayout)
  case json(JSONLayout)
  case netflix(NetflixLayout)

  /// Several lines for the user: the format, then the columns.
  var description: [String] {
    switch self {
    case .table(let layout): ["read as: \(layout.title)"] + layout.details
    case .json(let layout): ["read as: \(layout.title)"] + layout.details
    case .netflix(let layout): ["read as: \(layout.title)"] + layout.details
    }
  }

  var title: String {
    switch self {
    case .table(let layout): layout.title
    case .json(let layout): layout.title
    case .netflix(let layout): layout.title
    }
  }

  var hasTimes: Bool {
    switch self {
    case .table(let layout): layout.roles.time != nil
    case .json(let layout): layout.roles.time != nil
    case .netflix: true
    }
  }

  /// Whether both can be files of one data set.
  func isCompatible(with other: FileLayout) -> Bool {
    switch (self, other) {
    case (.table(let one), .table(let two)): one.isCompatible(with: two)
    case (.json(let one), .json(let two)): one.isCompatible(with: two)
    case (.netflix, .netflix): true
    default: false
    }
  }
}
