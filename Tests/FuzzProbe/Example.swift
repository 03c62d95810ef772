import BERT4RecModel
import Checkpoints
import InteractionData
import SystemSupport

/// A small run to damage.
enum Example {
  static let configuration = ModelConfiguration(
    vocabularySize: 9, hiddenSize: 4, layerCount: 1, headCount: 2, intermediateSize: 3, maximumSequenceLength: 5,
    hiddenDropout: 0.3, attentionDropout: 0.1, activation: .gelu, initializerRange: 0.02)
  static let layout = ParameterLayout(configuration)
  static let itemIDs = ExternalIDs([
    Array("a\tb\nc\rd\\".utf8), Array("\\n".utf8), [0xFF, 0xFE, 0x00, 0xC3], [], Array("ünï código".utf8),
  ])
  static let itemCounts: [Int64] = [5_000_000_000, 7, 7, 3, 0]

  static func state(step: Int) -> TrainerState {
    TrainerState(
      step: step, seed: 12345, best: .init(step: 10, score: 0.125, metric: "ndcg@10[full]"), dataName: "toy",
      dataFingerprint: "f00d", numericsVersion: 1, programVersion: "0.1.0",
      configuration: ["batch_size": "256", "learning_rate": "1e-3", "data": "a\\b\n\u{1}é"])
  }

  /// Writes a checkpoint of a state; returns its folder.
  @discardableResult
  static func write(_ state: TrainerState, in run: RunFolder, keep: Int = 5) throws(Failure) -> String {
    let values = UnsafeMutableBufferPointer<Float>.allocate(capacity: layout.count)
    defer { values.deallocate() }
    for index in values.indices { values[index] = Float(index) * 0.5 + Float(state.step % 1000) }
    let writer = CheckpointWriter(
      run: run, configuration: configuration, itemIDs: itemIDs, itemCounts: itemCounts, keepCheckpoints: keep)
    let buffer = UnsafeBufferPointer(values)
    return try writer.write(state: state, parameters: buffer, firstMoment: buffer, secondMoment: buffer)
  }
}
