import Glibc
import SystemSupport

/// The pages on which a rank keeps what it has fetched of other ranks' rows.
///
/// Each rank has the addresses of the whole table (V, H) and of its biases (V), and memory for what it touches: the blocks of rows that
/// it owns, and pages with fetched rows, which stand in their places so that whoever reads the table need not know who owns what. These
/// pages are counted, and when they are more than a budget, all pages between the own blocks are given back to the system. Rows are
/// fetched again before each use, so nothing is lost with them; popular rows' pages soon are there again.
package final class ForeignPages {
  /// Bytes of such pages, above which they are given back: 32 MiB.
  package static let budget = 1 << 25

  /// The buffer, and in it the bytes of the table and of the biases.
  private let memory: AlignedMemory
  private let ownership: RowOwnership
  private let rank: Int
  private let hidden: Int
  private let biases: Int  // in bytes from the buffer's start
  private let pageSize = Int(sysconf(Int32(_SC_PAGESIZE)))
  private let budget: Int
  /// Pages with fetched rows: a bit each.
  private var touched: [UInt64]
  private var count = 0
  /// Rows of others that stay until they are given back by name, ascending.
  private var spared: [Range<Int>] = []

  /// - Parameters:
  ///   - memory: the table from its first byte on, one row of H float32 after the other.
  ///   - biases: the byte at which the biases begin.
  package init(
    _ memory: AlignedMemory, _ ownership: RowOwnership, rank: Int, hidden: Int, biases: Int, budget: Int = ForeignPages.budget
  ) {
    (self.memory, self.ownership, self.rank) = (memory, ownership, rank)
    (self.hidden, self.biases, self.budget) = (hidden, biases, budget)
    touched = [UInt64](repeating: 0, count: memory.byteCount / pageSize / 64 + 1)
  }

  /// Most bytes that rows of others take, where a step reads so many of them.
  package static func byteCount(rows: Double, hidden: Int) -> Double {
    // A row's own pages, and one for its bias.
    Double(budget) + rows * (Double(hidden * MemoryLayout<Float>.stride) + 2 * 4096)
  }

  /// These rows (ascending) are going to be fetched.
  package func expect(_ rows: UnsafeBufferPointer<Int32>) {
    if count * pageSize > budget { giveBack() }
    let size = MemoryLayout<Float>.stride
    for row in rows where ownership.owner(ofRow: Int(row)) != rank {
      let first = Int(row) * hidden * size
      touch(first / pageSize)
      let last = (first + hidden * size - 1) / pageSize
      if last != first / pageSize { for page in first / pageSize + 1...last { touch(page) } }
      touch((biases + Int(row) * size) / pageSize)
    }
  }

  private func touch(_ page: Int) {
    let bit: UInt64 = 1 << UInt64(page % 64)
    if touched[page / 64] & bit == 0 {
      touched[page / 64] |= bit
      count += 1
    }
  }

  /// Gives back the pages of a stretch of blocks that are not the rank's own.
  package func giveBack(_ blocks: Range<Int>) {
    var start = blocks.lowerBound
    for block in blocks where ownership.owner(ofBlock: block) == rank {
      if start < block { give(ownership.rows(ofBlock: start).lowerBound..<ownership.rows(ofBlock: block).lowerBound) }
      start = block + 1
    }
    if start < blocks.upperBound {
      give(ownership.rows(ofBlock: start).lowerBound..<ownership.rows(ofBlock: blocks.upperBound - 1).upperBound)
    }
  }

  private func give(_ rows: Range<Int>) {
    let size = MemoryLayout<Float>.stride
    memory.giveBack(rows.lowerBound * hidden * size..<rows.upperBound * hidden * size)
    memory.giveBack(biases + rows.lowerBound * size..<biases + rows.upperBound * size)
  }

  /// These rows of others (ascending) stay, whatever else is given back, until the next call.
  package func spare(_ rows: [Range<Int>]) {
    spared = rows
    if rows.isEmpty { giveBack() }
  }

  /// Gives back all pages between the rank's own blocks, but for those that are spared.
  package func giveBack() {
    var (start, next) = (0, 0)
    func keep(_ rows: Range<Int>) {
      if start < rows.lowerBound { give(start..<rows.lowerBound) }
      start = max(start, rows.upperBound)
    }
    func keepSpared(before row: Int) {
      while next < spared.count && spared[next].lowerBound < row {
        keep(spared[next])
        next += 1
      }
    }
    for block in ownership.blocks(of: rank) {
      let own = ownership.rows(ofBlock: block)
      keepSpared(before: own.lowerBound)
      keep(own)
    }
    keepSpared(before: ownership.rowCount)
    keep(ownership.rowCount..<ownership.rowCount)
    for word in touched.indices { touched[word] = 0 }
    count = 0
  }
}
