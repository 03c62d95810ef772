import Checkpoints
import InteractionData

/// What small runs of tests are of.
package enum ExampleRun {
  /// Tab, newline, carriage return, backslash, a backslash before an n, bytes that are not UTF-8, nothing at all.
  package static let itemIDs = ExternalIDs([
    Array("a\tb\nc\rd\\".utf8), Array("\\n".utf8), [0xFF, 0xFE, 0x00, 0xC3], [], Array("ünï código".utf8),
  ])
  package static let itemCounts: [Int64] = [5_000_000_000, 7, 7, 3, 0]

  package static func state(step: Int, best: TrainerState.Best? = nil) -> TrainerState {
    TrainerState(
      step: step, seed: .max, best: best, dataName: "toy \"data\"", dataFingerprint: "f00d", numericsVersion: 3,
      programVersion: "0.1.0", arithmetic: ["backend": "openblas", "processor": "a \"b\""],
      configuration: ["batch_size": "256", "learning_rate": "1e-3", "data": "a\\b\n\u{1}é"])
  }
}
