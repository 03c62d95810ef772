import SystemSupport

/// Finds the column that orders the interactions, by name or by value; never one of several that disagree.
struct TimeChoice {
  let sample: Sample
  /// Those that may be it.
  let columns: [Int]
  let choice: ColumnChoice.Column?
  let pattern: TimePattern?

  func time() throws(ProgramFailure) -> ColumnRoles.Time? {
    if let choice {
      if choice == .none { return nil }
      guard let place = choice.place(in: sample.names, count: sample.columnCount) else {
        throw sample.lacks(choice, "time")
      }
      guard let time = read(place) else { throw unreadable(place) }
      return time
    }
    let known = knownByName
    let readable = known.filter { read($0) != nil && !sample.content(of: $0).isClock }
    if let time = try withClock(readable) { return time }
    if let pattern {
      let fitting = columns.filter { fits($0, pattern) }
      if let time = try best(fitting) { return time }
      if known.isEmpty {
        throw ProgramFailure(
          .badData, "\(sample.file):\(sample.firstLine): no column holds times \(PrintableText.quoted(pattern.text.utf8))")
      }
    }
    if readable.isEmpty {
      if let time = try best(columns.filter(looksLikeTime)) { return time }
      let parts = dateParts
      if !parts.isEmpty {
        throw sample.failure(
          "the date is spread over several columns: \(sample.shown(parts)); make one column of them, or say that the order of the "
            + "file counts with --columns time=none (data_columns)")
      }
      if let first = known.first, !sample.records.isEmpty { throw unreadable(first) }
      return nil
    }
    return try best(readable)
  }

  /// Columns with the names of times; of several spellings of one the best.
  private var knownByName: [Int] {
    guard let names = sample.names else { return [] }
    return columns.filter { column in
      let spellings = [names[column], ColumnNames.lastComponent(names[column])].map(ColumnNames.normalised)
      let content = sample.content(of: column)
      if content.example.isEmpty { return false }
      if spellings.contains(where: ColumnNames.certainTime.contains) { return true }
      // "created" may be a number of anything.
      return spellings.contains(where: ColumnNames.time.contains) && (!content.isNumeric || content.looksLikeTime)
    }
  }

  /// Columns for a year, a month and a day, as HetRec's files have them.
  private var dateParts: [Int] {
    guard let names = sample.names else { return [] }
    let parts = ["year", "month", "day"].compactMap { part in
      columns.first { ColumnNames.normalised(names[$0]).hasSuffix(part) && sample.content(of: $0).isNumeric }
    }
    return parts.count == 3 ? parts : []
  }

  private func looksLikeTime(_ column: Int) -> Bool {
    let content = sample.content(of: column)
    if let name = sample.names?[column] {
      if ColumnNames.isTimeOfSomethingElse(name) { return false }
      if ColumnNames.isID(name) && !content.isWrittenTime { return false }
      if ColumnNames.isID(name) && content.isNumeric { return false }
    }
    return content.looksLikeTime
  }

  private func fits(_ column: Int, _ pattern: TimePattern) -> Bool {
    let values = sample.values(of: column).filter { !MissingValue.isOne($0) }
    let fitting = values.count { value in value.withUnsafeBytes { pattern.parse($0) != .unparsable } }
    return fitting > 0 && 2 * fitting >= values.count
  }

  /// How a column is read as a time; nil where it cannot be.
  func read(_ column: Int) -> ColumnRoles.Time? {
    if let pattern { return fits(column, pattern) ? .init(column: column, format: .pattern(pattern)) : nil }
    let content = sample.content(of: column)
    guard let format = content.timeFormat else { return nil }
    return .init(column: column, format: format, hasZone: format == .iso8601 && content.hasZone)
  }

  private func unreadable(_ column: Int) -> ProgramFailure {
    let values = sample.values(of: column)
    let place = values.firstIndex { !MissingValue.isOne($0) } ?? 0
    let line = sample.lines.indices.contains(place) ? sample.lines[place] : sample.firstLine
    let value = values.indices.contains(place) ? values[place] : []
    return ProgramFailure(
      .badData,
      "\(sample.file):\(line): \(PrintableText.quoted(value)): \(sample.called(column)) is neither a number nor a time in a "
        + "known form such as 2014-07-23T10:00:00Z, 23.07.2014 or Wed Jul 23 10:00:00 2014; say how it is written with "
        + "--time-format (data_time_format), such as '%m/%d/%Y %H:%M', or that the order of the file counts with "
        + "--columns time=none (data_columns)")
  }

  /// A day and a time of the day in two columns.
  private func withClock(_ readable: [Int]) throws(ProgramFailure) -> ColumnRoles.Time? {
    guard pattern == nil, let names = sample.names else { return nil }
    let days = readable.filter { granularity($0) == Self.day }
    guard !days.isEmpty, days.count == readable.count, var time = try best(days) else { return nil }
    let clocks = columns.filter { !readable.contains($0) && sample.content(of: $0).isClock }
    if clocks.count == 1 {
      time.clock = .init(column: clocks[0], isMilliseconds: false)
      return time
    }
    // Diginetica: milliseconds since a session's first query, of the day in another column.
    if let frame = columns.first(where: { ColumnNames.normalised(names[$0]) == "timeframe" }), sample.content(of: frame).isNumeric {
      time.clock = .init(column: frame, isMilliseconds: true)
      return time
    }
    return nil
  }

  // MARK: Several times

  private static let day: Int64 = 86_400_000_000_000
  private static let units: [Int64] = [day, day / 24, day / 1440, 1_000_000_000, 1_000_000, 1_000, 1]

  private func nanoseconds(_ column: Int) -> [Int64?] {
    guard let time = read(column) else { return [] }
    return sample.values(of: column).map { value in
      guard case .nanoseconds(let number) = value.withUnsafeBytes({ TimeValue.parse($0, time.format) }) else { return nil }
      return number
    }
  }

  /// The largest unit that all of a column's times are whole numbers of.
  private func granularity(_ column: Int) -> Int64 {
    let times = nanoseconds(column).compactMap { $0 }
    return Self.units.first { unit in times.allSatisfy { $0 % unit == 0 } } ?? 1
  }

  /// Of columns that agree the finest; nil for none. Exit code 65 where some disagree.
  private func best(_ candidates: [Int]) throws(ProgramFailure) -> ColumnRoles.Time? {
    guard let first = candidates.first else { return nil }
    var finest = first
    for other in candidates.dropFirst() where granularity(other) < granularity(finest) { finest = other }
    for other in candidates where other != finest && !agree(other, finest) {
      throw sample.failure(
        "several columns may be the time, and they disagree: \(sample.shown(candidates)); name one with --columns "
          + "time=\(sample.choice(of: first)) (data_columns), or time=none, if the order of the file counts")
    }
    return read(finest)
  }

  /// Whether a coarse time is that of the fine one, perhaps in another zone.
  private func agree(_ coarse: Int, _ fine: Int) -> Bool {
    var (least, most): (Int64, Int64) = (.max, .min)
    for (one, other) in zip(nanoseconds(coarse), nanoseconds(fine)) {
      guard let one, let other else { continue }
      let (difference, overflow) = other.subtractingReportingOverflow(one)
      if overflow { return false }
      (least, most) = (min(least, difference), max(most, difference))
    }
    guard least <= most else { return false }
    let unit = granularity(coarse)
    if unit == granularity(fine) && least != most { return false }
    // Summer time is an hour.
    let slack = unit < Self.day / 24 ? 0 : Self.day / 24
    let zone = Self.day / 24 * 15
    let (spread, overflow) = most.subtractingReportingOverflow(least)
    return !overflow && spread <= unit - 1 + slack && least > -zone - unit && most < zone + unit
  }
}
