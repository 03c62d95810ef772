import InteractionData

/// Keys that configurations and checkpoints of earlier programs have, by what they are called now.
enum FormerKey {
  /// The present name and value, or what was expected where the value is not understood; nil where the name is no former one.
  static func present(_ name: String, _ value: String) -> (name: String, value: String, expected: String?)? {
    guard name == "validation" else { return nil }
    switch value.lowercased() {
    case "true", "yes", "on": return ("holdout", Holdout.testAndValidation.rawValue, nil)
    case "false", "no", "off": return ("holdout", Holdout.test.rawValue, nil)
    default: return ("holdout", "", "true or false (or use holdout)")
    }
  }

  /// A checkpoint's record in present names.
  static func present(_ recorded: [String: String]) -> [String: String] {
    var result = recorded
    for (name, value) in recorded {
      guard let now = present(name, value) else { continue }
      result[name] = nil
      if result[now.name] == nil { result[now.name] = now.value }
    }
    // Before these keys every run began with random parameters.
    if result["init_checkpoint"] == nil { result["init_checkpoint"] = "none" }
    // And held out users' last items.
    if result["split_time"] == nil { result["split_time"] = "none" }
    return result
  }
}
