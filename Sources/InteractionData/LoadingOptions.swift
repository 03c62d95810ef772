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
  /// What is left out on purpose.
  public var filters: InteractionFilters
  /// Nanoseconds since 1970: rows from then on are the targets of an evaluation and not part of the data set; nil: no such split.
  public var splitTime: Int64?

  /// By default all is recognised and nothing left out.
  public init(
    skipBadRows: Bool = false, format: DataFormat? = nil, columns: ColumnChoice = ColumnChoice(),
    timePattern: TimePattern? = nil, filters: InteractionFilters = InteractionFilters(), splitTime: Int64? = nil
  ) {
    self.skipBadRows = skipBadRows
    self.format = format
    self.columns = columns
    self.timePattern = timePattern
    self.filters = filters
    self.splitTime = splitTime
  }

  /// Whether a user said what the file is, so that less has to be guessed.
  var saysLayout: Bool { format != nil || columns.user != nil || columns.item != nil }
}
