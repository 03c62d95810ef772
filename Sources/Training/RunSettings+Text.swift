import SystemSupport
import Yams

extension RunSettings {
  /// Sets a key from text. `origin` (such as "recipe.yaml:3" or "--set") begins the message of an error.
  public mutating func set(_ name: String, _ value: String, origin: String) throws(ProgramFailure) {
    if let present = FormerKey.present(name, value) {
      if let expected = present.expected {
        throw ProgramFailure(.usage, "\(origin): \(name) is \"\(value)\", but must be \(expected).")
      }
      return try set(present.name, present.value, origin: origin)
    }
    switch OriginalKey(name) {
    case .means(let present): return try set(present, value, origin: origin)
    case .constant(let only):
      if value == only { return }
      throw ProgramFailure(.usage, "\(origin): \(name) is \"\(value)\", but must be \(only), as in every model of BERT4Rec.")
    case nil: break
    }
    guard let key = ConfigurationKey.named(name) else {
      throw ProgramFailure(
        // No key is as long as that, and comparing whole files would take minutes.
        .usage, "\(origin): unknown key \"\(name)\"\(ConfigurationKey.suggestion(for: String(name.prefix(100)))).")
    }
    if let expected = key.write(&self, value) {
      throw ProgramFailure(.usage, "\(origin): \(name) is \"\(value)\", but must be \(expected).")
    }
  }

  /// The text of a configuration's file, of whatever it holds.
  static func text(ofFile path: String) throws(ProgramFailure) -> String {
    let longest = 1 << 20
    let bytes = try FileSystem.read(path, limit: longest + 1)
    if bytes.count > longest {
      throw ProgramFailure(.usage, "\(path): more than \(longest) bytes, so not a configuration.")
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw ProgramFailure(.usage, "\(path): not a text file, so not a configuration.")
    }
    return text
  }

  /// Sets keys from YAML: one mapping of keys to plain values. The original's JSON files are that, too.
  public mutating func read(yaml: String, file: String) throws(ProgramFailure) {
    guard Self.aliasCount(yaml) <= Self.mostAliases else {
      throw ProgramFailure(
        .usage, "\(file): more than \(Self.mostAliases) aliases (*name); write the values out, as lines `key: value`.")
    }
    let root: Node?
    do { root = try Yams.compose(yaml: yaml) } catch { throw Self.failure(error, file) }
    // A file of comments alone changes nothing.
    guard let root else { return }
    guard let mapping = root.mapping else {
      if root.scalar?.string.isEmpty == true { return }
      throw ProgramFailure(.usage, "\(file): a configuration is a list of lines `key: value`, but this is something else.")
    }
    var seen: [String: String] = [:]
    for (keyNode, valueNode) in mapping {
      let line = keyNode.mark.map { ":\($0.line)" } ?? ""
      let name = keyNode.scalar?.string ?? ""
      guard let value = valueNode.scalar?.string else {
        throw ProgramFailure(.usage, "\(file)\(line): the value of \"\(name)\" must be a plain value, not a list or mapping.")
      }
      seen[name] = value
      try set(name, value, origin: file + line)
    }
    try OriginalKey.requireOneValue(seen, file)
    if seen["num_train_steps"] != nil && seen["num_train_epochs"] == nil { trainingEpochs = nil }
  }

  /// A configuration has no use for YAML's aliases, but a comment or a value may look like some. Nested, as few as fifty
  /// stand for more nodes than a parser can visit.
  private static let mostAliases = 8

  /// Words that begin with an asterisk, outside of whole-line comments.
  private static func aliasCount(_ yaml: String) -> Int {
    var count = 0
    for line in yaml.utf8.split(whereSeparator: { $0 == 0x0A || $0 == 0x0D }) {
      if line.first(where: { $0 != 0x20 && $0 != 0x09 }) == UInt8(ascii: "#") { continue }
      var previous = UInt8(ascii: " ")
      for byte in line {
        let isInWord =
          previous >= 0x80 || UInt8(ascii: "0")...UInt8(ascii: "9") ~= previous
          || UInt8(ascii: "a")...UInt8(ascii: "z") ~= previous | 0x20
        if byte == UInt8(ascii: "*") && !isInWord { count += 1 }
        previous = byte
      }
    }
    return count
  }

  private static func failure(_ error: any Error, _ file: String) -> ProgramFailure {
    switch error {
    case YamlError.duplicatedKeysInMapping(let keys, _):
      ProgramFailure(.usage, "\(file): \(keys.map { "\"\($0)\"" }.joined(separator: ", ")) is given twice.")
    case YamlError.scanner(_, let problem, let mark, _), YamlError.parser(_, let problem, let mark, _),
      YamlError.composer(_, let problem, let mark, _):
      ProgramFailure(.usage, "\(file):\(mark.line): not YAML: \(problem).")
    default: ProgramFailure(.usage, "\(file): not YAML: \(error)")
    }
  }

  /// Every key and its value, for the checkpoint and for comparing runs.
  public var values: [String: String] {
    Dictionary(uniqueKeysWithValues: ConfigurationKey.all.map { ($0.name, $0.read(self)) })
  }

  /// Everything resolved, as YAML: `train --config` of it repeats the run.
  public var yaml: String {
    var text = "# Everything this run depends on. `bert4rec-dist train --config` of this file repeats it.\n"
    for key in ConfigurationKey.all {
      let value = key.read(self)
      if value.isEmpty { continue }
      let needsQuotes = Self.texts.contains(key.name)
      text += "\(key.name): \(needsQuotes ? Self.quoted(value) : value)\n"
    }
    return text
  }

  /// Keys whose values may be any text.
  private static let texts = [
    "data", "data_format", "data_columns", "data_time_format", "data_events", "monitor", "init_checkpoint", "tfrecord",
  ]

  /// A YAML double-quoted scalar.
  private static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\t": result += "\\t"
      case "\r": result += "\\r"
      case _ where scalar.value < 32 || scalar.value == 127:
        result += "\\x" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }

  /// How this configuration differs from the one that a checkpoint was made with, key by key.
  package func differences(from recorded: [String: String]) -> [(key: ConfigurationKey, recorded: String, now: String)] {
    let recorded = FormerKey.present(recorded)
    return ConfigurationKey.all.compactMap { key in
      guard key.name != "data", let old = recorded[key.name] else { return nil }
      let new = key.read(self)
      return old == new ? nil : (key, old, new)
    }
  }
}
