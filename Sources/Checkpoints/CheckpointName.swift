/// The names inside a checkpoint folder and beside it.
package enum CheckpointName {
  package static let model = "model.safetensors"
  package static let modelConfiguration = "config.json"
  package static let optimizer = "optimizer.safetensors"
  package static let items = "items.tsv"
  package static let trainer = "trainer.json"

  /// Beside the checkpoints; never taken for one.
  static let temporaryPrefix = ".tmp-"
  static let replacedPrefix = ".replaced-"
  static let latest = "latest"
  static let best = "best"

  /// "step-00001000" for 1000 updates.
  package static func folder(step: Int) -> String {
    precondition(step >= 0, "steps count from 0")
    let digits = String(step)
    return "step-" + String(repeating: "0", count: max(0, 8 - digits.count)) + digits
  }

  /// The step of a folder's name; nil for any other name, so that a name out of a file cannot lead anywhere else.
  package static func step(ofFolder name: String) -> Int? {
    guard name.hasPrefix("step-"), let step = Int(name.dropFirst(5)), step >= 0, folder(step: step) == name else {
      return nil
    }
    return step
  }
}
