/// A JSON value (RFC 8259). Objects keep their order; numbers keep their text, so that no digit is lost.
///
/// Foundation's reader takes the last of two equal keys without a word, which a file that is not to be trusted must not
/// get away with; this one refuses them.
package enum JSON: Sendable, Equatable {
  case null
  case bool(Bool)
  case number(String)
  case string(String)
  case array([JSON])
  case object([Member])

  package struct Member: Sendable, Equatable {
    package let key: String
    package let value: JSON

    package init(_ key: String, _ value: JSON) {
      self.key = key
      self.value = value
    }
  }

  package static func integer(_ value: some BinaryInteger) -> JSON { .number(String(value)) }

  /// The shortest text that reads back as the same number; null for those that JSON does not have.
  package static func double(_ value: Double) -> JSON { value.isFinite ? .number(value.description) : .null }

  package var int: Int? {
    guard case .number(let text) = self else { return nil }
    return Int(text)
  }

  package var double: Double? {
    guard case .number(let text) = self else { return nil }
    return Double(text)
  }

  package var string: String? {
    guard case .string(let text) = self else { return nil }
    return text
  }

  package var members: [Member]? {
    guard case .object(let members) = self else { return nil }
    return members
  }

  /// An object's value of a key.
  package subscript(key: String) -> JSON? { members?.first { $0.key == key }?.value }

  // MARK: Writing

  /// On one line, without spaces.
  package var line: String {
    var text = ""
    write(into: &text, indent: nil)
    return text
  }

  /// With a line a member, two spaces a level.
  package var pretty: String {
    var text = ""
    write(into: &text, indent: 0)
    return text
  }

  private func write(into text: inout String, indent: Int?) {
    switch self {
    case .null: text += "null"
    case .bool(let value): text += value ? "true" : "false"
    case .number(let digits): text += digits
    case .string(let value): JSON.writeQuoted(value, into: &text)
    case .array(let values):
      text += "["
      for (index, value) in values.enumerated() {
        if index > 0 { text += indent == nil ? "," : ", " }
        value.write(into: &text, indent: indent)
      }
      text += "]"
    case .object(let members):
      text += "{"
      for (index, member) in members.enumerated() {
        if index > 0 { text += "," }
        if let indent { text += "\n" + String(repeating: " ", count: indent + 2) }
        JSON.writeQuoted(member.key, into: &text)
        text += indent == nil ? ":" : ": "
        member.value.write(into: &text, indent: indent.map { $0 + 2 })
      }
      if let indent, !members.isEmpty { text += "\n" + String(repeating: " ", count: indent) }
      text += "}"
    }
  }

  private static func writeQuoted(_ value: String, into text: inout String) {
    text += "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      case "\u{0}"..<" ":
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }
}
