/// Text for people: whatever a file or a name has brought into it, it does not control the terminal and is not endless.
package enum TerminalText {
  /// In bytes; longer texts lose their middle, since a message's end says what to do.
  static let longest = 4096
  private static let keptEnd = 1024

  /// One line: control characters are escaped, and what is too long is cut.
  package static func line(_ text: String) -> String { shortened(escaped(text, keepsLineEnds: false)) }

  /// Control characters (C0, DEL, C1) as `\n`, `\t`, `\r` or `\x1B`.
  package static func escaped(_ text: String, keepsLineEnds: Bool) -> String {
    func isControl(_ scalar: Unicode.Scalar) -> Bool {
      scalar.value < 0x20 && !(keepsLineEnds && scalar == "\n") || (0x7F..<0xA0).contains(scalar.value)
    }
    guard text.unicodeScalars.contains(where: isControl) else { return text }
    // Not UnicodeScalarView.append(contentsOf:), which copies all there is each time.
    var result = ""
    for scalar in text.unicodeScalars {
      guard isControl(scalar) else {
        result.unicodeScalars.append(scalar)
        continue
      }
      switch scalar {
      case "\n": result += "\\n"
      case "\t": result += "\\t"
      case "\r": result += "\\r"
      default:
        let digits = String(scalar.value, radix: 16, uppercase: true)
        result += "\\x\(digits.count == 1 ? "0" : "")\(digits)"
      }
    }
    return result
  }

  private static func shortened(_ text: String) -> String {
    let bytes = text.utf8
    guard bytes.count > longest else { return text }
    let (start, end) = (bytes.prefix(longest - keptEnd), bytes.suffix(keptEnd))
    // A character that is cut through becomes a replacement character.
    return String(decoding: start, as: UTF8.self) + " [...] " + String(decoding: end, as: UTF8.self)
  }
}
