/// Which rank owns which rows of a sharded table, with their biases and moments: blocks of a constant number of rows, dealt to the
/// ranks in turn.
///
/// Numbers that are added over the table are added block by block in ascending order, so that neither the number of ranks nor
/// whether there is a table per rank shapes bits.
package struct RowOwnership: Sendable, Equatable {
  /// Rows of a block: as many as an evaluation scores together (`ScoreTile.width`). In memory each block begins on a page.
  package static let blockRows = 4096

  /// Rows of the table.
  package let rowCount: Int
  /// Ranks.
  package let size: Int

  package init(rowCount: Int, size: Int) {
    precondition(rowCount > 0 && size > 0)
    self.rowCount = rowCount
    self.size = size
  }

  package var blockCount: Int { (rowCount + Self.blockRows - 1) / Self.blockRows }

  package func owner(ofBlock block: Int) -> Int { block % size }

  package func owner(ofRow row: Int) -> Int { owner(ofBlock: row / Self.blockRows) }

  /// Rows of a block; the last one may be shorter.
  package func rows(ofBlock block: Int) -> Range<Int> {
    block * Self.blockRows..<min((block + 1) * Self.blockRows, rowCount)
  }

  /// Blocks of a rank, ascending.
  package func blocks(of rank: Int) -> StrideTo<Int> { stride(from: rank, to: blockCount, by: size) }

  /// Rows of a rank in all.
  package func rowCount(of rank: Int) -> Int { blocks(of: rank).reduce(0) { $0 + rows(ofBlock: $1).count } }
}
