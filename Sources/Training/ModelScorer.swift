import BERT4RecModel
import Collectives
import Evaluation
import MaskedInstances
import SystemSupport

/// A trained model as evaluation and recommendation see it: one code path for both, in training and afterwards.
public final class ModelScorer: SequenceScorer {
  private let encoder: BidirectionalEncoder
  private let parameters: UnsafePointer<Float>
  private let state: ModelState
  private let logits: UnsafeMutableBufferPointer<Float>
  private let progress: Progress?

  /// Reads the state's parameters as they are when it scores.
  public init(_ state: ModelState, backend: BackendChoice = .auto, progress: Progress? = nil) {
    self.state = state
    self.progress = progress
    encoder = BidirectionalEncoder(state.configuration, backend: backend)
    parameters = UnsafePointer(state.parameters.start)
    let vocabulary = state.configuration.vocabularySize
    logits = .allocate(capacity: max(1, min(64, (1 << 22) / vocabulary)) * vocabulary)
    logits.initialize(repeating: 0)
  }

  deinit { logits.deallocate() }

  public var vocabularySize: Int { state.configuration.vocabularySize }

  public func scores(_ batch: PackedBatch) throws(Failure) -> UnsafeBufferPointer<Float> {
    let count = batch.maskedCount * vocabularySize
    precondition(count <= logits.count, "more instances than instancesAtOnce")
    progress?.tick()
    encoder.logits(batch, parameters: parameters, into: logits.start)
    return UnsafeBufferPointer(rebasing: logits[..<count])
  }
}
