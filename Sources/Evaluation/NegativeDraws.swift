import Communication
import InteractionData
import SystemSupport

/// Draws the negatives of the sampled protocols: on rank 0, which alone can, since each draw follows from the one before. A rank keeps
/// those of the users that it scores, for the evaluations to come.
final class NegativeDraws {
  /// Blocks per rank that are drawn before they are sent.
  private static let blocksPerRound = 16

  /// What was drawn for one protocol.
  struct Drawn {
    var negatives: DrawnNegatives
    /// On rank 0: what the notes tell, and the most-popular baseline among these candidates.
    var exceptions = NegativeSampler.Exceptions()
    var baseline = MetricSums()
  }

  private struct Key: Hashable {
    var evaluationProtocol: EvaluationProtocol
    var split: EvaluationSplit
    var sample: UserSample?
  }

  private let dataset: Dataset
  private let communicator: any Communicator
  private var known: [Key: Drawn] = [:]

  init(dataset: Dataset, communicator: any Communicator) {
    self.dataset = dataset
    self.communicator = communicator
  }

  /// Nil for `full`. `users` are those of the split and the sample.
  func drawn(
    _ evaluationProtocol: EvaluationProtocol, _ split: EvaluationSplit, _ sample: UserSample?, for users: EvaluatedUsers
  ) throws(CollectiveFailure) -> Drawn? {
    guard let count = evaluationProtocol.negativeCount else { return nil }
    let key = Key(evaluationProtocol: evaluationProtocol, split: split, sample: sample)
    if let drawn = known[key] { return drawn }
    let drawn = try draw(evaluationProtocol, count, users)
    known[key] = drawn
    return drawn
  }

  private func draw(
    _ evaluationProtocol: EvaluationProtocol, _ count: Int, _ users: EvaluatedUsers
  ) throws(CollectiveFailure) -> Drawn {
    let size = communicator.size
    var drawn = Drawn(negatives: DrawnNegatives(blockCount: users.blockCount, ranks: size, count: count))
    var sampler =
      communicator.rank == 0 ? NegativeSampler(evaluationProtocol, itemCounts: dataset.itemCounts) : nil
    let baseline = communicator.rank == 0 ? PopularityBaseline(itemCounts: dataset.itemCounts) : nil
    for start in stride(from: 0, to: users.blockCount, by: Self.blocksPerRound * size) {
      var blocks = [[DrawnBlock]](repeating: [], count: size)
      for block in start..<min(start + Self.blocksPerRound * size, users.blockCount) {
        guard communicator.rank == 0 else { break }
        var drawnBlock = DrawnBlock()
        for user in users.users(of: block) {
          let (history, label) = users.heldOut(of: user)
          let before = drawnBlock.items.count
          sampler?.draw(history: history, label: label, into: &drawnBlock.items)
          drawnBlock.counts.append(drawnBlock.items.count - before)
          if let baseline { drawn.baseline.add(rank: baseline.sampled(label: label, negatives: drawnBlock.items[before...])) }
        }
        blocks[block % size].append(drawnBlock)
      }
      // The others sleep while rank 0 draws.
      try communicator.waitForAll()
      for block in try communicator.scatter(blocks) { drawn.negatives.append(block) }
    }
    drawn.exceptions = sampler?.exceptions ?? drawn.exceptions
    return drawn
  }
}
