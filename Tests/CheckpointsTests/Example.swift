import BERT4RecModel
import Checkpoints
import Glibc
import InteractionData
import SystemSupport
import Testing

/// A folder that goes with its last reference.
final class TemporaryFolder {
  let path: String

  init() throws {
    var template = Array("/tmp/bert4rec-checkpoints-XXXXXX".utf8CString)
    let made = mkdtemp(&template) != nil
    try #require(made)
    path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  deinit { try? FileSystem.removeRecursively(path) }

  func write(_ name: String, _ text: String) throws -> String { try write(name, Array(text.utf8)) }

  func write(_ name: String, _ bytes: [UInt8]) throws -> String {
    try FileSystem.writeDurably(path + "/" + name, bytes)
    return path + "/" + name
  }
}

/// A small run whose every number differs from its neighbours.
struct Example {
  static let configuration = ModelConfiguration(
    vocabularySize: 9, hiddenSize: 6, layerCount: 2, headCount: 3, intermediateSize: 5, maximumSequenceLength: 7,
    hiddenDropout: 0.3, attentionDropout: 0.1, activation: .tanh, initializerRange: 0.07)
  static let layout = ParameterLayout(configuration)
  /// Tab, newline, carriage return, backslash, a backslash before an n, bytes that are not UTF-8, nothing at all.
  static let itemIDs = ExternalIDs([
    Array("a\tb\nc\rd\\".utf8), Array("\\n".utf8), [0xFF, 0xFE, 0x00, 0xC3], [], Array("ünï código".utf8),
  ])
  static let itemCounts: [Int64] = [5_000_000_000, 7, 7, 3, 0]
  static let parameters = (0..<layout.count).map { Float($0) * 0.5 - 3 }
  static let firstMoment = (0..<layout.count).map { Float($0) * -0.25 }
  static let secondMoment = (0..<layout.count).map { 1 / Float($0 + 1) }

  static func state(step: Int, best: TrainerState.Best? = nil) -> TrainerState {
    TrainerState(
      step: step, seed: .max, best: best, dataName: "toy \"data\"", dataFingerprint: "f00d", numericsVersion: 3,
      programVersion: "0.1.0", arithmetic: ["backend": "openblas", "processor": "a \"b\""],
      configuration: ["batch_size": "256", "learning_rate": "1e-3", "data": "a\\b\n\u{1}é"])
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
func failure(_ body: () throws -> Void, sourceLocation: SourceLocation = #_sourceLocation) -> Failure? {
  do {
    try body()
    Issue.record("nothing failed", sourceLocation: sourceLocation)
    return nil
  } catch let error as Failure {
    return error
  } catch {
    Issue.record("\(error) is not a Failure", sourceLocation: sourceLocation)
    return nil
  }
}
