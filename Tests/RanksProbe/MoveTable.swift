import Communication
import GradientSum
import SystemSupport
import TableSharding

/// Moves a table to rank 0 and another one back, in stretches of bounded size, with a copy of the first one kept in between. Tells whether
/// each rank has what it should, and on rank 0 how many stretches that took.
func moveTable(
  _ communicator: any Communicator, rows: Int, hidden: Int, roundElements: Int, _ arrangement: RowOwnership.Arrangement
) throws(CollectiveFailure) {
  let (rank, ownership) = (communicator.rank, RowOwnership(rowCount: rows, size: communicator.size, arrangement))
  let (first, copy) = (MovedTable(rows: rows, hidden: hidden), MovedTable(rows: rows, hidden: hidden))
  let transfer = TableTransfer(
    communicator: communicator, ownership: ownership, hidden: hidden, tables: [first.table], roundElements: roundElements,
    makeCopies: { () throws(ProgramFailure) in [copy.table] })
  for row in 0..<rows where ownership.owner(ofRow: row) == rank { first.set(row, stream: 1) }
  var isRight = true
  let stretches = try transfer.fromRankZero { () throws(ProgramFailure) in
    func move(_ body: (TableTransfer.Part, Range<Int>) throws(ProgramFailure) -> Void) throws(ProgramFailure) -> Int {
      var count = 0
      for part in [TableTransfer.Part.words, .biases] {
        for blocks in transfer.stretches(of: part) {
          try body(part, blocks)
          count += 1
        }
      }
      return count
    }
    try transfer.keepCopies()
    let count = try move { (part, blocks) throws(ProgramFailure) in try transfer.collect(part, ofTable: 0, blocks) }
    isRight = (0..<rows).allSatisfy { first.holds($0, stream: 1) }
    for row in 0..<rows { first.set(row, stream: 2) }
    _ = try move { (part, blocks) throws(ProgramFailure) in try transfer.distribute(part, ofTable: 0, blocks) }
    _ = try move { (part, blocks) throws(ProgramFailure) in try transfer.collect(part, ofTable: 1, blocks) }
    isRight = isRight && (0..<rows).allSatisfy { copy.holds($0, stream: 1) }
    return count
  }
  for row in 0..<rows {
    let isOwn = ownership.owner(ofRow: row) == rank
    isRight = isRight && (isOwn || rank == 0 ? first.holds(row, stream: 2) : first.isEmpty(row))
    isRight = isRight && (isOwn || rank == 0 ? copy.holds(row, stream: 1) : copy.isEmpty(row))
  }
  for line in try communicator.gather("\(isRight ? "right" : "wrong") \(stretches)") { say(line) }
}

/// A table whose numbers follow from their places, NaN where nothing was set.
final class MovedTable {
  private let numbers: UnsafeMutableBufferPointer<Float>
  private let hidden: Int
  let table: TableTransfer.Table

  init(rows: Int, hidden: Int) {
    numbers = .allocate(capacity: rows * (hidden + 1))
    numbers.initialize(repeating: .nan)
    self.hidden = hidden
    guard let words = numbers.baseAddress else { preconditionFailure("a table has rows") }
    table = TableTransfer.Table(words: words, biases: words + rows * hidden)
  }

  deinit { numbers.deallocate() }

  private func value(_ row: Int, _ column: Int, _ stream: Int) -> Float {
    OrderTest.value(stream: stream, element: row * (hidden + 1) + column)
  }

  func set(_ row: Int, stream: Int) {
    for column in 0..<hidden { table.words[row * hidden + column] = value(row, column, stream) }
    table.biases[row] = value(row, hidden, stream)
  }

  func holds(_ row: Int, stream: Int) -> Bool {
    (0..<hidden).allSatisfy { table.words[row * hidden + $0] == value(row, $0, stream) } && table.biases[row] == value(row, hidden, stream)
  }

  func isEmpty(_ row: Int) -> Bool { (0..<hidden).allSatisfy { table.words[row * hidden + $0].isNaN } && table.biases[row].isNaN }
}
