import SystemSupport

/// Why a row was left out.
enum RowProblem: String, CaseIterable {
  case columnCount = "wrong number of columns"
  case emptyID = "empty id"
  case missingUser = "missing user (NA, null, ...)"
  case missingItem = "missing item (NA, null, ...)"
  case quotes = "quotes that do not match"
  case backslashQuotes = "quotes after backslashes, as Spark writes them (--format csv-backslash reads them)"
  case notAnObject = "no object"
  case keyTwice = "a duplicate key"
  case brokenHistory = "list that does not continue the user's other rows"
  case unparsableRating = "rating that cannot be read"
  case unparsableTime = "time that cannot be read"
  case nonFiniteTime = "time that is not finite"
  case timeOutOfRange = "time outside the years 1678 to 2261"
}

/// Counts the rows that cannot be read; the first five are shown.
struct BadRows {
  static let shown = 5

  private(set) var counts: [RowProblem: Int] = [:]
  private(set) var total = 0
  private var first: String?
  private let log: (String) -> Void

  init(log: @escaping (String) -> Void) { self.log = log }

  mutating func note(_ problem: RowProblem, file: String, line: Int, text: UnsafeRawBufferPointer, detail: String = "") {
    counts[problem, default: 0] += 1
    total += 1
    if total > Self.shown { return }
    let message = "\(file):\(line): \(PrintableText.quoted(text)): \(problem.rawValue)\(detail)"
    first = first ?? message
    log("bad row: \(message)")
  }

  /// Fails when more than 1 % of all rows are bad and nobody allowed it.
  func check(goodRows: Int, options: LoadingOptions) throws(ProgramFailure) {
    if total > Self.shown { log("bad rows: \(total) in all (\(summary)), the first \(Self.shown) are shown") }
    guard !options.skipBadRows, let first, total * 100 > goodRows + total else { return }
    throw ProgramFailure(
      .badData,
      "\(total) of \(goodRows + total) rows cannot be read (\(summary)), which is more than 1 %; the first is "
        + "\(first). "
        + "Correct the file, or leave such rows out with --skip-bad-rows")
  }

  var summary: String {
    RowProblem.allCases.compactMap { problem in counts[problem].map { "\($0) \(problem.rawValue)" } }
      .joined(separator: ", ")
  }

  /// By reason in words.
  var byReason: [String: Int] {
    Dictionary(uniqueKeysWithValues: counts.map { ($0.key.rawValue, $0.value) })
  }
}
