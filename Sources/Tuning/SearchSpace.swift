import Masking
import SystemSupport
import Training
import Yams

/// What `tune` may choose of a configuration, as a YAML file says it: a list of values, or a range, for each key:
///
///     learning_rate: {from: 3e-4, to: 3e-3, scale: log}
///     batch_size: [32, 64, 128]
///     hidden_dropout_prob: {from: 0.1, to: 0.5}
package struct SearchSpace: Sendable, Equatable {
  enum Choice: Sendable, Equatable {
    case values([String])
    case range(from: Double, to: Double, isLogarithmic: Bool, isWhole: Bool)
  }

  /// In the order of the file.
  let dimensions: [(key: String, choice: Choice)]

  package static func == (a: SearchSpace, b: SearchSpace) -> Bool {
    a.dimensions.elementsEqual(b.dimensions) { $0.key == $1.key && $0.choice == $1.choice }
  }

  /// Keys that `tune` sets itself, or that would make trials measure different things.
  private static let fixed: Set<String> = [
    "holdout", "monitor", "num_train_steps", "num_train_epochs", "reduction", "backend", "seed",
  ]

  /// Exit code 64 where the text is no search space; `file` begins the messages.
  package init(yaml: String, file: String) throws(ProgramFailure) {
    let root: Node?
    do { root = try Yams.compose(yaml: yaml) } catch { throw ProgramFailure(.usage, "\(file): not YAML: \(error)") }
    guard let mapping = root?.mapping, !mapping.isEmpty else {
      throw ProgramFailure(
        .usage, "\(file): a search space has lines `key: [value, value]` or `key: {from: A, to: B, scale: log}`; there is none.")
    }
    var dimensions: [(key: String, choice: Choice)] = []
    for (keyNode, valueNode) in mapping {
      let place = file + (keyNode.mark.map { ":\($0.line)" } ?? "")
      let name = keyNode.scalar?.string ?? ""
      guard let key = ConfigurationKey.named(name) else {
        throw ProgramFailure(.usage, "\(place): unknown key \"\(name)\"; `bert4rec-dist train --help` lists all keys.")
      }
      if key.mayChangeOnResume || Self.fixed.contains(name) {
        throw ProgramFailure(.usage, "\(place): \"\(name)\" cannot be searched: tune sets it itself, or it changes no result.")
      }
      let choice = try Self.choice(valueNode, name, place)
      for value in Self.extremes(choice) {
        var settings = RunSettings()
        try settings.set(name, value, origin: place)
      }
      dimensions.append((name, choice))
    }
    self.dimensions = dimensions
  }

  private static func choice(_ node: Node, _ key: String, _ place: String) throws(ProgramFailure) -> Choice {
    if let sequence = node.sequence {
      let values = sequence.compactMap { $0.scalar?.string }
      guard values.count == sequence.count, !values.isEmpty else {
        throw ProgramFailure(.usage, "\(place): the values of \"\(key)\" must be a list of plain values, such as [1, 2].")
      }
      return .values(values)
    }
    guard let mapping = node.mapping else {
      throw ProgramFailure(
        .usage, "\(place): \"\(key)\" needs a list, such as [1, 2], or a range, such as {from: 1, to: 2}; to fix it, use --set.")
    }
    var fields: [String: String] = [:]
    for (name, value) in mapping { fields[name.scalar?.string ?? ""] = value.scalar?.string ?? "" }
    let scale = fields["scale"] ?? "linear"
    guard let from = fields["from"].flatMap(Double.init), let to = fields["to"].flatMap(Double.init), from < to,
      from.isFinite, to.isFinite, scale == "linear" || (scale == "log" && from > 0),
      Set(fields.keys).isSubset(of: ["from", "to", "scale"])
    else {
      throw ProgramFailure(
        .usage, "\(place): the range of \"\(key)\" must be {from: A, to: B}, A below B, with scale: linear or log (A above 0).")
    }
    return .range(from: from, to: to, isLogarithmic: scale == "log", isWhole: isWhole(key))
  }

  /// Whether a key takes whole numbers alone, by what it says of something else.
  private static func isWhole(_ key: String) -> Bool {
    var settings = RunSettings()
    do throws(ProgramFailure) { try settings.set(key, "no number", origin: "") } catch { return error.message.contains("whole number") }
    return false
  }

  private static func extremes(_ choice: Choice) -> [String] {
    switch choice {
    case .values(let values): values
    case .range(let from, let to, _, let isWhole): isWhole ? ["\(Int(from))", "\(Int(to))"] : ["\(from)", "\(to)"]
    }
  }

  /// A trial's settings, a function of seed and trial alone; `attempt` counts draws that did not fit together.
  package func draw(trial: Int, attempt: Int = 0, seed: UInt64) -> [(key: String, value: String)] {
    dimensions.enumerated().map { index, dimension in
      let bits = KeyedRandom.bits64(seed: seed, .search, UInt32(index), UInt64(trial), UInt32(attempt))
      switch dimension.choice {
      case .values(let values): return (dimension.key, values[Int(bits.multipliedFullWidth(by: UInt64(values.count)).high)])
      case .range(let from, let to, let isLogarithmic, let isWhole):
        let fraction = Double(bits >> 11) * 0x1p-53
        let value =
          isLogarithmic
          ? PortableMath.exp(PortableMath.log(from) + fraction * (PortableMath.log(to) - PortableMath.log(from)))
          : from + fraction * (to - from)
        return (dimension.key, isWhole ? "\(Int(value.rounded()))" : "\(Self.threeDigits(value))")
      }
    }
  }

  /// More digits than these are chance.
  private static func threeDigits(_ value: Double) -> Double {
    guard value != 0 else { return 0 }
    var scale = 1.0
    while abs(value) * scale < 100 { scale *= 10 }
    while abs(value) * scale >= 1000 { scale /= 10 }
    return (value * scale).rounded() / scale
  }
}
