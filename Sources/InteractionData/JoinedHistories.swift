import SystemSupport

/// RecBole's benchmark files have a row for each item of a history, with all items before it. They are joined again:
/// of a user's rows the longest, and what others continue.
struct JoinedHistories {
  /// Items by user's number.
  private var histories: [Int32: [Int32]] = [:]
  private var order: [Int32] = []
  private static let separator = ListSyntax(separator: 0x20)

  /// Takes a row; one that neither stands in its user's history nor continues it is noted as bad.
  mutating func add(
    user userID: UnsafeRawBufferPointer, list: UnsafeRawBufferPointer, item: UnsafeRawBufferPointer?, _ place: RowSink.Place,
    _ sink: inout RowSink
  ) throws(ProgramFailure) {
    var texts: [UnsafeRawBufferPointer] = []
    Self.separator.forEach(in: list) { text in
      texts.append(text)
      return true
    }
    if let item { texts.append(item) }
    if texts.isEmpty || texts.contains(where: { MissingValue.isOne($0) }) { return sink.note(.missingItem, place) }
    let user = try sink.number(ofUser: userID, place)
    var row: [Int32] = []
    for text in texts { row.append(try sink.number(ofItem: text, place)) }
    guard let known = histories[user] else {
      histories[user] = row
      order.append(user)
      return
    }
    if let joined = Self.join(known, row) {
      if joined.count > known.count { histories[user] = joined }
    } else {
      sink.note(.brokenHistory, place)
    }
  }

  /// The history that both are parts of: one begins with the other, or the row's list is the end of what is known (where
  /// lists were cut to a longest length).
  static func join(_ known: [Int32], _ row: [Int32]) -> [Int32]? {
    if known.starts(with: row) { return known }
    if row.starts(with: known) { return row }
    let list = row.dropLast()
    if !list.isEmpty, known.suffix(list.count) == list { return known + [row[row.count - 1]] }
    // An earlier row of a history that has been cut.
    guard known.count > row.count else { return nil }
    let isInside = (0...(known.count - row.count)).contains { known[$0..<($0 + row.count)].elementsEqual(row) }
    return isInside ? known : nil
  }

  /// Puts all histories into the rows.
  func finish(_ sink: inout RowSink) {
    for user in order {
      for item in histories[user] ?? [] { sink.rows.append(user: user, item: item, time: 0) }
    }
  }
}
