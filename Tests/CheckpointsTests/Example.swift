import BERT4RecModel
import Checkpoints
import InteractionData
import SystemSupport
import TestSupport
import Testing

typealias TemporaryFolder = TestSupport.TemporaryFolder

/// A small run whose every number differs from its neighbours.
struct Example {
  static let configuration = ModelConfiguration(
    vocabularySize: 9, hiddenSize: 6, layerCount: 2, headCount: 3, intermediateSize: 5, maximumSequenceLength: 7,
    hiddenDropout: 0.3, attentionDropout: 0.1, activation: .tanh, initializerRange: 0.07)
  static let layout = ParameterLayout(configuration)
  static let itemIDs = ExampleRun.itemIDs
  static let itemCounts = ExampleRun.itemCounts
  static let parameters = (0..<layout.count).map { Float($0) * 0.5 - 3 }
  static let firstMoment = (0..<layout.count).map { Float($0) * -0.25 }
  static let secondMoment = (0..<layout.count).map { 1 / Float($0 + 1) }

  static func state(step: Int, best: TrainerState.Best? = nil) -> TrainerState {
    ExampleRun.state(step: step, best: best)
  }

  static func writer(_ run: RunFolder, keep: Int = 5) -> CheckpointWriter {
    CheckpointWriter(
      run: run, configuration: configuration, itemIDs: itemIDs, itemCounts: itemCounts, keepCheckpoints: keep)
  }

  @discardableResult
  static func write(
    _ run: RunFolder, step: Int, keep: Int = 5, best: TrainerState.Best? = nil, shift: Float = 0
  ) throws -> String {
    let shifted = parameters.map { $0 + shift }
    return try shifted.withUnsafeBufferPointer { parameters in
      try firstMoment.withUnsafeBufferPointer { first in
        try secondMoment.withUnsafeBufferPointer { second in
          try writer(run, keep: keep).write(
            state: state(step: step, best: best), parameters: parameters, firstMoment: first, secondMoment: second)
        }
      }
    }
  }

  static func parameters(of checkpoint: CheckpointReader) -> [Float] {
    var result = [Float](repeating: .nan, count: layout.count)
    result.withUnsafeMutableBufferPointer { checkpoint.copyParameters(into: $0) }
    return result
  }
}

/// The failure of a body that must fail.
func failure(_ body: () throws -> Void, sourceLocation: SourceLocation = #_sourceLocation) -> ProgramFailure? {
  do {
    try body()
    Issue.record("nothing failed", sourceLocation: sourceLocation)
    return nil
  } catch let error as ProgramFailure {
    return error
  } catch {
    Issue.record("\(error) is not a ProgramFailure", sourceLocation: sourceLocation)
    return nil
  }
}
