import SystemSupport

/// Rows of predictions in the order of the file.
struct PredictionRows: ~Copyable {
  private let file: String
  private(set) var userIDs = IDTable()
  private(set) var itemIDs = IDTable()
  private var rows: [Row] = []

  private struct Row {
    var user: Int32
    var item: Int32
    var line: Int
    /// Ascending from the best.
    var key: Double
  }

  init(file: String) { self.file = file }

  var count: Int { rows.count }

  /// Checks a row and keeps it. `order` is a rank or a score.
  mutating func append(
    user: UnsafeRawBufferPointer, item: UnsafeRawBufferPointer, order: UnsafeRawBufferPointer, isRank: Bool, line: Int,
    text: UnsafeRawBufferPointer
  ) throws(ProgramFailure) {
    if rows.count & 0xFFFF == 0 { Liveness.tick() }
    if MissingValue.isOne(user) || MissingValue.isOne(item) { throw failure(line, text, "the user or the item is missing") }
    guard let value = WrittenNumber.parse(order), value.isFinite else {
      throw failure(line, text, "the \(isRank ? "rank" : "score") \(PrintableText.short(order)) is no finite number")
    }
    guard let userNumber = userIDs.intern(user), let itemNumber = itemIDs.intern(item) else {
      throw failure(line, text, "more than 2 billion distinct ids")
    }
    rows.append(Row(user: userNumber, item: itemNumber, line: line, key: isRank ? value : -value))
  }

  func failure(_ line: Int, _ text: some Collection<UInt8>, _ problem: String) -> ProgramFailure {
    ProgramFailure(.badData, "\(file):\(line): \(PrintableText.quoted(text)): \(problem); correct the file")
  }

  /// Each user's items in order. Throws where a user has one twice.
  func grouped() throws(ProgramFailure) -> Sequences {
    try refuseRepeats()
    let rows = rows
    let order = rows.indices.sorted { a, b in
      let (left, right) = (rows[a], rows[b])
      if left.user != right.user { return left.user < right.user }
      return left.key != right.key ? left.key < right.key : a < b
    }
    var offsets = [Int64](repeating: 0, count: userIDs.count + 1)
    for row in rows { offsets[Int(row.user) + 1] += 1 }
    for user in 0..<userIDs.count { offsets[user + 1] += offsets[user] }
    return Sequences(offsets: offsets, values: order.map { rows[$0].item + 1 })
  }

  /// The first row of the file whose user has its item in an earlier one.
  private func refuseRepeats() throws(ProgramFailure) {
    let rows = rows
    let order = rows.indices.sorted { a, b in
      let (left, right) = (rows[a], rows[b])
      if left.user != right.user { return left.user < right.user }
      return left.item != right.item ? left.item < right.item : a < b
    }
    var first: (row: Int, before: Int)?
    for (before, row) in zip(order, order.dropFirst())
    where rows[row].user == rows[before].user && rows[row].item == rows[before].item && row < first?.row ?? .max {
      first = (row, before)
    }
    guard let first else { return }
    let row = rows[first.row]
    throw ProgramFailure(
      .badData,
      "\(file):\(row.line): the item \(PrintableText.quoted(itemIDs[row.item])) is recommended twice to the user "
        + "\(PrintableText.quoted(userIDs[row.user])), before in line \(rows[first.before].line); give each item of a user once")
  }
}
