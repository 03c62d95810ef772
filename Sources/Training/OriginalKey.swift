import SystemSupport

/// Keys of the original's JSON files (its `bert_config_file`), which `--config` takes, that no key here has the name of.
enum OriginalKey {
  case means(String)
  /// The one value that this program's model has.
  case constant(String)

  init?(_ name: String) {
    switch name {
    // A sequence has as many tokens as the table of positions has rows.
    case "max_position_embeddings": self = .means("max_seq_length")
    case "type_vocab_size": self = .constant("2")
    default: return nil
    }
  }

  /// Two names of one key in one file must have one value, or the order of the lines would decide.
  static func requireOneValue(_ values: [String: String], _ file: String) throws(ProgramFailure) {
    for (name, value) in values {
      guard case .means(let key)? = OriginalKey(name), let other = values[key], other != value else { continue }
      throw ProgramFailure(.usage, "\(file): \(name) is \"\(value)\" and \(key) is \"\(other)\", but they are one key here; leave one out.")
    }
  }
}

extension RunConfiguration {
  /// Refuses data of another vocabulary than the configuration says, as the original's files do.
  package func requireVocabulary(itemCount: Int, of name: String) throws(ProgramFailure) {
    let rows = itemCount + 4
    guard let wanted = settings.vocabularySize, wanted != rows else { return }
    throw ProgramFailure(
      .usage,
      "vocab_size is \(wanted), but \(name) has \(itemCount) items, which makes \(rows) (items + 4): give the data that the configuration "
        + "is for, or --set vocab_size=auto.")
  }
}
