import ArgumentParser
import BERT4RecDist

/// What the data are, where their contents should not decide: options of every command that reads some.
struct ReadingOptions: ParsableArguments {
  @Option(
    name: .customLong("data-format"),
    help: ArgumentHelp(
      "Layout of the data: \(DataFormat.allCases.map(\.rawValue).joined(separator: ", ")).", valueName: "name"),
    completion: .list(DataFormat.allCases.map(\.rawValue)))
  var dataFormat: String?

  @Option(
    help: ArgumentHelp(
      "Which column is what: user=NAME|NUMBER,item=...,time=...|none, also rating, event, session.", valueName: "role=column,..."))
  var columns: String?

  @Option(help: ArgumentHelp("How times are written, in strptime's letters, such as '%d/%m/%Y %H:%M'.", valueName: "letters"))
  var timeFormat: String?

  /// nil where nothing is said.
  func options(format: String? = nil) throws(ProgramFailure) -> LoadingOptions? {
    let format = format ?? dataFormat
    if format == nil && columns == nil && timeFormat == nil { return nil }
    return LoadingOptions(
      format: try format.map { name throws(ProgramFailure) in try DataFormat.named(name, origin: "--format") },
      columns: try ColumnChoice(columns ?? "", origin: "--columns"),
      timePattern: try timeFormat.map { text throws(ProgramFailure) in try TimePattern(text, origin: "--time-format") })
  }
}

/// The same for commands whose `--format` is that of the data.
struct FormatOptions: ParsableArguments {
  @OptionGroup var reading: ReadingOptions

  @Option(help: ArgumentHelp("The same as --data-format.", valueName: "name"))
  var format: String?

  /// nil where nothing is said.
  func options() throws(ProgramFailure) -> LoadingOptions? { try reading.options(format: format) }

  /// As keys of the configuration, lines `key=value`: for commands that keep them with the run.
  var settings: [String] {
    [("data_format", format ?? reading.dataFormat), ("data_columns", reading.columns), ("data_time_format", reading.timeFormat)]
      .compactMap { key, value in value.map { "\(key)=\($0)" } }
  }
}
