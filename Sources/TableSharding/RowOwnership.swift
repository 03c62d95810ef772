/// Which rank owns which rows of a sharded table, with their biases and moments: blocks of a constant number of rows, dealt to the
/// ranks in turn, or neighbouring ones to each rank.
///
/// Numbers that are added over the table are added block by block in ascending order, so that neither the number of ranks nor
/// whether there is a table per rank shapes bits.
package struct RowOwnership: Sendable, Equatable {
  /// How blocks come to ranks.
  package enum Arrangement: Sendable, Equatable {
    /// In turn, of `RowOwnership.blockRows` rows: what few of the rows' neighbours do concerns all ranks alike.
    case dealt
    /// Neighbouring blocks of so many rows, as many to each rank as to any other but for one: what goes through the table in order goes
    /// through the ranks in order.
    case neighbouring(blockRows: Int)
  }

  /// Rows of a dealt block: as many as an evaluation scores together (`ScoreTile.width`). In memory each block begins on a page.
  package static let blockRows = 4096

  /// Rows of the table.
  package let rowCount: Int
  /// Ranks.
  package let size: Int
  package let arrangement: Arrangement
  /// Rows of a block.
  package let blockRows: Int

  package init(rowCount: Int, size: Int, _ arrangement: Arrangement = .dealt) {
    self.rowCount = rowCount
    self.size = size
    self.arrangement = arrangement
    blockRows = if case .neighbouring(let blockRows) = arrangement { blockRows } else { Self.blockRows }
    precondition(rowCount > 0 && size > 0 && blockRows > 0)
  }

  package var blockCount: Int { (rowCount + blockRows - 1) / blockRows }

  package func owner(ofBlock block: Int) -> Int {
    // The last rank whose first block is not behind it.
    arrangement == .dealt ? block % size : ((block + 1) * size - 1) / blockCount
  }

  package func owner(ofRow row: Int) -> Int { owner(ofBlock: row / blockRows) }

  /// Rows of a block; the last one may be shorter.
  package func rows(ofBlock block: Int) -> Range<Int> { block * blockRows..<min((block + 1) * blockRows, rowCount) }

  /// Blocks of a rank, ascending.
  package func blocks(of rank: Int) -> StrideTo<Int> {
    arrangement == .dealt
      ? stride(from: rank, to: blockCount, by: size) : stride(from: rank * blockCount / size, to: (rank + 1) * blockCount / size, by: 1)
  }

  /// Rows of a rank in all.
  package func rowCount(of rank: Int) -> Int { blocks(of: rank).reduce(0) { $0 + rows(ofBlock: $1).count } }

  /// The rows of a rank that has neighbouring ones.
  package func neighbouringRows(of rank: Int) -> Range<Int> {
    precondition(arrangement != .dealt || size == 1)
    return min(rank * blockCount / size * blockRows, rowCount)..<min((rank + 1) * blockCount / size * blockRows, rowCount)
  }
}
