import SystemSupport

/// A set of rows of a table: a bit per row, with a bit per block of rows, so that listing them costs what is in it.
package final class RowSet {
  private static let wordBits = 64
  private static let blockWords = RowOwnership.blockRows / wordBits

  private let words: UnsafeMutableBufferPointer<UInt64>
  /// Whether anything is in a block.
  private let blocks: UnsafeMutableBufferPointer<Bool>

  package init(rowCount: Int) {
    let count = (rowCount + RowOwnership.blockRows - 1) / RowOwnership.blockRows
    words = .allocate(capacity: count * Self.blockWords)
    words.initialize(repeating: 0)
    blocks = .allocate(capacity: count)
    blocks.initialize(repeating: false)
  }

  deinit {
    words.deallocate()
    blocks.deallocate()
  }

  /// Bytes for a table.
  package static func byteCount(rowCount: Int) -> Int { rowCount / 8 }

  package func insert(_ row: Int32) {
    let row = Int(row)
    words[row / Self.wordBits] |= 1 << UInt64(row % Self.wordBits)
    blocks[row / RowOwnership.blockRows] = true
  }

  /// Moves all rows to another set of the same table.
  package func move(to other: RowSet) {
    for block in blocks.indices where blocks[block] {
      blocks[block] = false
      other.blocks[block] = true
      for word in wordsOf(block) {
        other.words[word] |= words[word]
        words[word] = 0
      }
    }
  }

  /// Moves all rows to a list, ascending, which is valid until the list is used again.
  package func move(to list: GrowingBuffer<Int32>) -> UnsafeBufferPointer<Int32> {
    var count = 0
    for block in blocks.indices where blocks[block] {
      for word in wordsOf(block) { count += words[word].nonzeroBitCount }
    }
    list.resize(count)
    var next = list.base
    for block in blocks.indices where blocks[block] {
      blocks[block] = false
      for word in wordsOf(block) {
        var bits = words[word]
        words[word] = 0
        while bits != 0 {
          next.pointee = Int32(word * Self.wordBits + bits.trailingZeroBitCount)
          next += 1
          bits &= bits - 1
        }
      }
    }
    return UnsafeBufferPointer(start: list.base, count: count)
  }

  private func wordsOf(_ block: Int) -> Range<Int> { block * Self.blockWords..<(block + 1) * Self.blockWords }
}
