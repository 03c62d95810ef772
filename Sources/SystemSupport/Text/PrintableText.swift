/// Bytes of a user's file as they may stand in a message: shortened, and escaped so that nothing reaches the
/// terminal's controls.
package enum PrintableText {
  package static let longest = 80

  package static func quoted(_ bytes: some Collection<UInt8>) -> String {
    var text = "\""
    for byte in bytes.prefix(longest) {
      switch byte {
      case UInt8(ascii: "\t"): text += "\\t"
      case UInt8(ascii: "\r"): text += "\\r"
      case UInt8(ascii: "\n"): text += "\\n"
      case UInt8(ascii: "\\"): text += "\\\\"
      case UInt8(ascii: "\""): text += "\\\""
      case 0x20..<0x7F: text.unicodeScalars.append(Unicode.Scalar(byte))
      default:
        let digits = String(byte, radix: 16, uppercase: true)
        text += "\\x" + (digits.count == 1 ? "0" : "") + digits
      }
    }
    return text + (bytes.count > longest ? "\"..." : "\"")
  }

  /// A name that needs no quotes as it is, any other one quoted.
  package static func name(_ text: String) -> String { isPlain(text) ? text : quoted(text.utf8) }

  /// Letters, digits, `_`, `-` and `.` alone, and not too many: what stands in a message, or in a shell's line, for itself.
  package static func isPlain(_ text: String) -> Bool {
    (1...longest).contains(text.utf8.count)
      && text.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"): true
        default: "_-.".utf8.contains(byte)
        }
      }
  }

  /// A value as an example: its first 24 bytes, quoted.
  package static func short(_ bytes: some Collection<UInt8>) -> String {
    quoted(bytes.prefix(24)) + (bytes.count > 24 ? "..." : "")
  }
}
