import BERT4RecModel
import Masking
import SystemSupport
import TableSharding

/// Which rows of the table the threads' batches read.
final class RowReaders {
  private let readers: [RowsRead]
  private let sets: [RowSet]
  private let rows = GrowingBuffer<Int32>(for: "the rows of a step")

  init(_ loss: LossConfiguration, _ sampler: RowSampler, threads: Int) {
    readers = (0..<threads).map { _ in RowsRead(loss, sampler) }
    sets = (0..<threads).map { _ in RowSet(rowCount: sampler.vocabularySize) }
  }

  func read(_ batch: PackedBatch, _ key: NegativeKey, _ thread: Int) {
    let set = sets[thread]
    readers[thread](batch, key) { set.insert($0) }
  }

  /// Rows that a thread has found out about by itself.
  func read(_ rows: UnsafeBufferPointer<Int32>, _ thread: Int) { for row in rows { sets[thread].insert(row) } }

  /// Of all threads.
  func takeRows() -> UnsafeBufferPointer<Int32> {
    for set in sets.dropFirst() { set.move(to: sets[0]) }
    return sets[0].move(to: rows)
  }
}
