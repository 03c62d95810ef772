import SystemSupport

/// The Netflix Prize's files: a line `movie:`, then a line `customer,rating,date` for each of its ratings.
struct NetflixLayout: Sendable {
  static let columnCount = 3
  let time: TimeFormat
  let title = "Netflix Prize (a line 'movie:', then lines customer,rating,date)"

  var details: [String] {
    [
      "  user: column 1 (customer)", "  item: the lines 'movie:'", "  time: column 3 (date), \(time.description)",
      "  rating: column 2",
    ]
  }

  /// The layout, where the first line opens a movie and those behind it fit, or where it is named.
  static func detect(
    _ text: UnsafeRawBufferPointer, name: String, _ options: LoadingOptions
  ) throws(ProgramFailure) -> NetflixLayout? {
    if let format = options.format, format != .netflix { return nil }
    var scanner = RecordScanner(text, separator: .comma, quoting: Quoting.none, storedFields: columnCount)
    guard scanner.next() else { return nil }
    let (line, first) = (scanner.line, Array(scanner.text))
    var dates: [[UInt8]] = []
    var others = movie(scanner.text) == nil ? 1 : 0
    while others == 0, dates.count < Sample.size, scanner.next() {
      if scanner.fieldCount == columnCount {
        dates.append(Array(scanner[2]))
      } else if movie(scanner.text) == nil {
        others += 1
      }
    }
    let format = options.timePattern.map { .pattern($0) } ?? ColumnContent(dates).timeFormat
    if others == 0, !dates.isEmpty, let format { return NetflixLayout(time: format) }
    if options.format == nil { return nil }
    throw ProgramFailure(.badData, "\(name):\(line): \(PrintableText.quoted(first)): not \(NetflixLayout(time: .iso8601).title)")
  }

  /// The number before the colon of a line that opens a movie.
  private static func movie(_ line: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
    guard line.count > 1, line[line.count - 1] == UInt8(ascii: ":") else { return nil }
    let number = UnsafeRawBufferPointer(rebasing: line[..<(line.count - 1)])
    return number.allSatisfy { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 } ? number : nil
  }

  static func read(_ input: InputBytes, _ layout: NetflixLayout, into sink: inout RowSink) throws(ProgramFailure) {
    defer { withExtendedLifetime(input) {} }
    if sink.filters.events != nil {
      throw ProgramFailure(.badData, "\(input.name): --events needs a column for the event, and there is none")
    }
    var scanner = RecordScanner(input.body, separator: .comma, quoting: Quoting.none, storedFields: columnCount)
    let timeReader = TimeValue.Reader(layout.time)
    var item = UnsafeRawBufferPointer(start: nil, count: 0)
    while scanner.next() {
      let place = RowSink.Place(file: input.name, line: scanner.line, text: scanner.text)
      if let opened = movie(scanner.text) {
        item = opened
        continue
      }
      guard scanner.fieldCount == columnCount else {
        sink.note(.columnCount, place, detail: " (\(scanner.fieldCount), expected \(columnCount))")
        continue
      }
      guard sink.hasIDs(scanner[0], item, place), let time = sink.time(scanner[2], timeReader, place) else { continue }
      if sink.filters.filterRows, !sink.passes(time: time, rating: scanner[1], event: nil, place) { continue }
      try sink.append(scanner[0], item, time, place)
    }
  }
}
