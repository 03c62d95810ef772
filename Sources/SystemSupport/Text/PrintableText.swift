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

  /// A value as an example: its first 24 bytes, quoted.
  package static func short(_ bytes: some Collection<UInt8>) -> String {
    quoted(bytes.prefix(24)) + (bytes.count > 24 ? "..." : "")
  }
}
