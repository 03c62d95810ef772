/// How files are read where their contents do not say it, or should not decide.
public struct LoadingOptions: Sendable {
  /// True leaves out any number of rows that cannot be read; false stops when they are more than 1 % (exit code 65).
  public var skipBadRows: Bool
  /// nil: recognised by the first lines.
  public var format: DataFormat?
  /// Columns that are named rather than found.
  public var columns: ColumnChoice
  /// How times are written; nil: recognised by their values.
  public var timePattern: TimePattern?
  public var filters: InteractionFilters

  public init(
    skipBadRows: Bool = false, format: DataFormat? = nil, columns: ColumnChoice = ColumnChoice(),
    timePattern: TimePattern? = nil, filters: InteractionFilters = InteractionFilters()
  ) {
    self.skipBadRows = skipBadRows
    self.format = format
    self.columns = columns
    self.timePattern = timePattern
    self.filters = filters
  }

  /// Whether a user said what the file is, so that less has to be guessed.
  var saysLayout: Bool { format != nil || columns.user != nil || columns.item != nil }
}
