import Masking
import SystemSupport

/// What scores sequences: a model, or anything else that is to be evaluated like one.
public protocol SequenceScorer: AnyObject {
  /// V: items + 4 (`TokenIDs`).
  var vocabularySize: Int { get }

  /// Scores of all V tokens for each instance of a batch with one masked row each: (B, V), row-major, valid until the
  /// next call.
  func scores(_ batch: PackedBatch) throws(ProgramFailure) -> UnsafeBufferPointer<Float>
}

extension SequenceScorer {
  /// Instances whose whole rows are scored at once, so that scores stay below 16 MiB whatever the catalogue. Depends on V alone,
  /// never on ranks.
  package var instancesAtOnce: Int { max(1, min(EvaluationBlock.size, (1 << 22) / vocabularySize)) }

  /// Scores with what was promised about them checked.
  package func checkedScores(_ batch: PackedBatch) throws(ProgramFailure) -> UnsafeBufferPointer<Float> {
    let result = try scores(batch)
    guard result.count == batch.instanceCount * vocabularySize else {
      throw ProgramFailure(
        .internalFault,
        "a scorer returned \(result.count) scores for \(batch.instanceCount) instances of \(vocabularySize) tokens")
    }
    return result
  }
}
