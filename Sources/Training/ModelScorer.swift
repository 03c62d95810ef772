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
  private let memory: AlignedMemory
  private let logits: UnsafeMutableBufferPointer<Float>
  private let progress: Progress?

  /// Reads the state's parameters as they are when it scores.
  public init(_ state: ModelState, backend: BackendChoice = .auto, progress: Progress? = nil) throws(Failure) {
    self.state = state
    self.progress = progress
    encoder = try .withMemory(for: .scoring, state.configuration, backend: backend)
    parameters = UnsafePointer(state.parameters.start)
    memory = try AlignedMemory(byteCount: Self.logitBytes(state.configuration), for: "the scores")
    logits = memory.elements(Float.self)
  }

  private static func logitBytes(_ configuration: ModelConfiguration) -> Int {
    let vocabulary = configuration.vocabularySize
    return instancesAtOnce(vocabularySize: vocabulary) * vocabulary * MemoryLayout<Float>.stride
  }

  /// Bytes of its buffers.
  package static func byteCount(_ configuration: ModelConfiguration, backend: BackendChoice) -> Int {
    BidirectionalEncoder.workspaceBytes(for: .scoring, configuration)
      + BidirectionalEncoder.scratchBytes(configuration, backend: backend) + logitBytes(configuration)
  }

  public var vocabularySize: Int { state.configuration.vocabularySize }

  public func scores(_ batch: PackedBatch) throws(Failure) -> UnsafeBufferPointer<Float> {
    let count = batch.maskedCount * vocabularySize
    precondition(count <= logits.count, "more instances than instancesAtOnce")
    progress?.tick()
    encoder.logits(batch, parameters: parameters, into: logits.start)
    return UnsafeBufferPointer(rebasing: logits[..<count])
  }
}
