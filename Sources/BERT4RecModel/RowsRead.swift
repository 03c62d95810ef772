import Masking
import SystemSupport

/// Which rows of the table are read for a batch: its tokens', its labels', and, with the losses that draw negatives, those that will be
/// drawn.
///
/// For tables that are not there as a whole: rows are brought before the loss reads them. One thread at a time may use it.
package final class RowsRead {
  private let loss: LossConfiguration
  private let sampler: RowSampler
  private let count: Int
  private let draws: AlignedBuffer<Int32>  // (k)

  /// - Parameter loss: `sampled` or `gbce`, or another one where the rows that it reads besides are at hand or are brought later.
  package init(_ loss: LossConfiguration, _ sampler: RowSampler) {
    self.loss = loss
    self.sampler = sampler
    count = loss.readsFewRows ? loss.negativeCount(vocabularySize: sampler.vocabularySize) : 0
    draws = .orEnd(count: count, for: "the negatives")
  }

  /// Calls `take` with each of them, with some more than once.
  package func callAsFunction(_ batch: PackedBatch, _ key: NegativeKey, _ take: (Int32) -> Void) {
    let (instances, tokens, masked) = (batch.instanceCount, batch.tokenCount, batch.maskedCount)
    batch.withLists { lists in
      for token in 0..<tokens { take(lists.tokens[token]) }
      for row in 0..<masked { take(lists.labels[row]) }
      if count == 0 { return }
      if loss.sharing == .shard {
        if masked > 0 { draw(key.ofShard, take) }
        return
      }
      for instance in 0..<instances {
        for index in 0..<Int(lists.maskedOffsets[instance + 1] - lists.maskedOffsets[instance]) {
          draw(key.ofPosition(index, place: lists.places[instance]), take)
        }
      }
    }
  }

  private func draw(_ key: UInt64, _ take: (Int32) -> Void) {
    sampler.draw(key, into: draws.base, count: count)
    for index in 0..<count { take(draws.base[index]) }
  }
}
