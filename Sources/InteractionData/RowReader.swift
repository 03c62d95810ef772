import SystemSupport

/// Reads the rows of one table, whose layout is known.
enum RowReader {
  /// Mapped pages are let go of after so many bytes.
  private static let discardedAtOnce = 1 << 25

  /// Hands over the rows that can be read; notes the others.
  static func read(_ input: InputBytes, _ layout: TableLayout, into sink: inout RowSink) throws(ProgramFailure) {
    // Fields point into the input's bytes.
    defer { withExtendedLifetime(input) {} }
    let roles = layout.roles
    try sink.requireColumns(roles, file: input.name)
    let storedFields = (roles.used.max() ?? 1) + 1
    var scanner = RecordScanner(
      input.body, separator: layout.separator, quoting: layout.quoting, storedFields: storedFields)
    let start = input.bytes.count - input.body.count
    var discarded = 0
    var joined = JoinedHistories()
    let timeReader = TimeValue.Reader(roles.time?.format ?? .numbers)
    let (timeColumn, clock) = (roles.time?.column ?? -1, roles.time?.clock)
    let isPlain = roles.history == nil && roles.list == nil
    let introducesUsers = sink.allowsUserOnly && layout.isOfPairs
    let filterRows = sink.filters.filterRows

    if layout.hasHeader { _ = scanner.next() }
    while scanner.next() {
      if scanner.consumed - discarded > discardedAtOnce {
        // Whole pages behind the current record.
        let end = (start + scanner.consumed - RecordScanner.longestQuotedRecord) & ~0xFFFF
        if end > discarded {
          input.discard(discarded..<end)
          Activity.advance(by: end - discarded)
          discarded = end
          Liveness.tick()
        }
      }
      if scanner.fieldCount != layout.columnCount {
        try noteCount(scanner, layout, input.name, &sink)
        continue
      }
      let (userID, itemID) = (scanner[roles.user], scanner[roles.item])
      if introducesUsers, itemID.isEmpty, !MissingValue.isOne(userID) {
        try sink.introduce(userID, place(scanner, input.name))
        continue
      }
      if !sink.hasIDs(userID, itemID, place(scanner, input.name)) { continue }
      // Times before ids: a bad row must not leave its ids behind.
      var time: Int64 = 0
      if timeColumn >= 0 {
        guard let value = sink.time(scanner[timeColumn], timeReader, place(scanner, input.name)) else { continue }
        time = value
        if let clock {
          guard let sum = sink.time(value, adding: scanner[clock.column], clock, place(scanner, input.name)) else { continue }
          time = sum
        }
      }
      if filterRows {
        let (rating, event) = (roles.rating.map { scanner[$0] }, roles.event.map { scanner[$0] })
        let isKept = sink.passes(
          time: timeColumn < 0 ? nil : time, rating: rating, event: event, place(scanner, input.name))
        if !isKept { continue }
      }
      if isPlain {
        try sink.append(userID, itemID, time, place(scanner, input.name))
      } else if let history = roles.history {
        try joined.add(
          user: userID, list: scanner[history], item: history == roles.item ? nil : itemID, place(scanner, input.name), &sink)
      } else if let list = roles.list {
        try append(list, itemID, user: userID, time, place(scanner, input.name), &sink)
      }
    }
    joined.finish(&sink)
  }

  @inline(__always)
  private static func place(_ scanner: borrowing RecordScanner, _ file: String) -> RowSink.Place {
    .init(file: file, line: scanner.line, text: scanner.text)
  }

  private static func noteCount(
    _ scanner: borrowing RecordScanner, _ layout: TableLayout, _ file: String, _ sink: inout RowSink
  ) throws(ProgramFailure) {
    let place = place(scanner, file)
    if sink.allowsUserOnly, layout.isOfPairs, scanner.fieldCount == 1, !MissingValue.isOne(scanner[0]) {
      return try sink.introduce(scanner[0], place)
    }
    guard scanner.hasBadQuotes else {
      return sink.note(.columnCount, place, detail: " (\(scanner.fieldCount), expected \(layout.columnCount))")
    }
    let isBackslash = layout.quoting == .doubled && Cut.holdsBackslashQuote(scanner.text)
    sink.note(isBackslash ? .backslashQuotes : .quotes, place)
  }

  /// The items of one field.
  static func append(
    _ list: ListSyntax, _ text: UnsafeRawBufferPointer, user: UnsafeRawBufferPointer, _ time: Int64, _ place: RowSink.Place,
    _ sink: inout RowSink
  ) throws(ProgramFailure) {
    // All or nothing: a list with a hole has lost an item.
    var hasHole = false
    list.forEach(in: text) { item in
      hasHole = MissingValue.isOne(item)
      return !hasHole
    }
    if hasHole { return sink.note(.missingItem, place) }
    var items: [UnsafeRawBufferPointer] = []
    list.forEach(in: text) { item in
      items.append(item)
      return true
    }
    if items.isEmpty {
      if sink.allowsUserOnly { return try sink.introduce(user, place) }
      return sink.note(.emptyID, place)
    }
    for item in items { try sink.append(user, item, time, place) }
  }
}
