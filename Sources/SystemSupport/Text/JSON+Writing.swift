extension JSON {
  /// On one line, without spaces.
  package var line: String { text(.compact) }

  /// On one line, with a space after each comma and colon.
  package var spacedLine: String { text(.spaced) }

  /// With a line per member, two spaces per level.
  package var pretty: String { text(.indented) }

  private enum Style {
    case compact, spaced, indented
  }

  private func text(_ style: Style) -> String {
    var text = ""
    write(into: &text, style, indent: 0)
    return text
  }

  private func write(into text: inout String, _ style: Style, indent: Int) {
    switch self {
    case .null: text += "null"
    case .bool(let value): text += value ? "true" : "false"
    case .number(let digits): text += digits
    case .string(let value): JSON.appendQuoted(value, to: &text)
    case .array(let values):
      text += "["
      for (index, value) in values.enumerated() {
        if index > 0 { text += style == .compact ? "," : ", " }
        value.write(into: &text, style, indent: indent)
      }
      text += "]"
    case .object(let members):
      text += "{"
      for (index, member) in members.enumerated() {
        if index > 0 { text += style == .spaced ? ", " : "," }
        if style == .indented { text += "\n" + String(repeating: " ", count: indent + 2) }
        JSON.appendQuoted(member.key, to: &text)
        text += style == .compact ? ":" : ": "
        member.value.write(into: &text, style, indent: indent + 2)
      }
      if style == .indented, !members.isEmpty { text += "\n" + String(repeating: " ", count: indent) }
      text += "}"
    }
  }

  /// Appends a string with its quotes.
  package static func appendQuoted(_ value: String, to text: inout String) {
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
