import SystemSupport

/// Reads the rows of one input, whose layout is known.
enum RowReader {
  /// Mapped pages are let go of after so many bytes.
  private static let discardedAtOnce = 1 << 25

  /// Appends the rows that can be read; notes the others. With `allowsUserOnly` a line of pairs with a user alone only
  /// introduces the user.
  static func read(
    _ input: InputBytes, _ layout: TableLayout, into rows: inout InteractionRows, _ badRows: inout BadRows,
    allowsUserOnly: Bool = false
  ) throws(Failure) {
    // Fields point into the input's bytes.
    defer { withExtendedLifetime(input) {} }
    let storedFields = max(layout.user, layout.item, layout.time?.index ?? 0) + 1
    var scanner = RecordScanner(input.body, separator: layout.separator, storedFields: storedFields)
    let start = input.bytes.count - input.body.count
    var discarded = 0

    func tooMany(_ what: String, _ line: Int) -> Failure {
      Failure(.badData, "\(input.name):\(line): more than two thousand million different \(what)s")
    }

    if layout.hasHeader { _ = scanner.next() }
    while scanner.next() {
      if scanner.consumed - discarded > discardedAtOnce {
        // Whole pages behind the current record.
        let end = (start + scanner.consumed - RecordScanner.longestQuotedRecord) & ~0xFFFF
        if end > discarded {
          input.discard(discarded..<end)
          discarded = end
          Liveness.tick()
        }
      }
      if scanner.fieldCount != layout.columnCount {
        if allowsUserOnly, layout.separator == .pairs, scanner.fieldCount == 1, scanner[0].count > 0 {
          guard rows.userIDs.intern(scanner[0]) != nil else { throw tooMany("user", scanner.line) }
          continue
        }
        badRows.note(
          scanner.hasBadQuotes ? .quotes : .columnCount, file: input.name, line: scanner.line, text: scanner.text,
          detail: scanner.hasBadQuotes ? "" : " (\(scanner.fieldCount), expected \(layout.columnCount))")
        continue
      }
      let (userID, itemID) = (scanner[layout.user], scanner[layout.item])
      if userID.isEmpty || itemID.isEmpty {
        if allowsUserOnly, layout.separator == .pairs, !userID.isEmpty {
          guard rows.userIDs.intern(userID) != nil else { throw tooMany("user", scanner.line) }
          continue
        }
        badRows.note(.emptyID, file: input.name, line: scanner.line, text: scanner.text)
        continue
      }
      // Times before ids: a bad row must not leave its ids behind.
      var time: Int64 = 0
      if let column = layout.time {
        let problem: RowProblem?
        switch TimeValue.parse(scanner[column.index], column.format) {
        case .nanoseconds(let value):
          time = value
          problem = nil
        case .unparsable: problem = .unparsableTime
        case .notFinite: problem = .nonFiniteTime
        case .outOfRange: problem = .timeOutOfRange
        }
        if let problem {
          badRows.note(problem, file: input.name, line: scanner.line, text: scanner.text)
          continue
        }
      }
      guard let user = rows.userIDs.intern(userID) else { throw tooMany("user", scanner.line) }
      guard let item = rows.itemIDs.intern(itemID) else { throw tooMany("item", scanner.line) }
      rows.append(user: user, item: item, time: time)
    }
  }
}
