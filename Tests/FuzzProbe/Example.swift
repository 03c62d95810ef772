import BERT4RecModel
import Checkpoints
import InteractionData
import SystemSupport
import TestSupport

/// A small run to damage.
enum Example {
  static let configuration = ModelConfiguration(
    vocabularySize: 9, hiddenSize: 4, layerCount: 1, headCount: 2, intermediateSize: 3, maximumSequenceLength: 5,
    hiddenDropout: 0.3, attentionDropout: 0.1, activation: .gelu, initializerRange: 0.02)
  static let layout = ParameterLayout(configuration)
  static let itemIDs = ExampleRun.itemIDs
  static let itemCounts = ExampleRun.itemCounts

  static func state(step: Int) -> TrainerState {
    ExampleRun.state(step: step, best: .init(step: 10, score: 0.125, metric: "ndcg@10[full]"))
  }

  /// Writes a checkpoint of a state; returns its folder.
  @discardableResult
  static func write(_ state: TrainerState, in run: RunFolder, keep: Int = 5) throws(ProgramFailure) -> String {
    let values = UnsafeMutableBufferPointer<Float>.allocate(capacity: layout.count)
    defer { values.deallocate() }
    for index in values.indices { values[index] = Float(index) * 0.5 + Float(state.step % 1000) }
    let writer = CheckpointWriter(
      run: run, configuration: configuration, itemIDs: itemIDs, itemCounts: itemCounts, keepCheckpoints: keep)
    let buffer = UnsafeBufferPointer(values)
    return try writer.write(state: state, parameters: buffer, firstMoment: buffer, secondMoment: buffer)
  }
}
