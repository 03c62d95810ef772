import BERT4RecDist

/// Scores items by how often they have followed the last item of a history: a baseline that is hard to beat on some data.
final class WhatFollows: SequenceScorer {
  let vocabularySize: Int
  private var followers: [Int32: [Int32: Float]] = [:]
  private var result = UnsafeMutableBufferPointer<Float>.allocate(capacity: 0)

  /// From all but the last two items of each user, which are held out.
  init(_ dataset: Dataset) {
    vocabularySize = dataset.itemCount + 4
    for user in 0..<dataset.sequences.userCount {
      let history = dataset.sequences[user].dropLast(2)
      for (item, next) in zip(history, history.dropFirst()) { followers[item, default: [:]][next, default: 0] += 1 }
    }
  }

  /// Each instance ends with `[MASK]`; the token before it is the last item. Rows of V scores, one per instance.
  func scores(_ batch: PackedBatch) -> UnsafeBufferPointer<Float> {
    let (tokens, masks) = (batch.tokens, batch.maskedRows)
    result.deallocate()
    result = .allocate(capacity: masks.count * vocabularySize)
    result.initialize(repeating: 0)
    for (row, mask) in masks.enumerated() where mask > 0 {
      for (item, count) in followers[tokens[Int(mask) - 1]] ?? [:] { result[row * vocabularySize + Int(item)] = count }
    }
    return UnsafeBufferPointer(result)
  }

  deinit { result.deallocate() }
}

/// The report of an evaluation on rank 0, nil elsewhere.
func evaluateWhatFollows(_ dataset: Dataset, _ communicator: any Communicator) throws(CollectiveFailure) -> EvaluationReport? {
  try Evaluator(dataset: dataset, maximumLength: 50, communicator: communicator)
    .evaluate(WhatFollows(dataset), split: .test, protocols: [.full], step: 0)
}
