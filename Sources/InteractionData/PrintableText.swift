/// Bytes of a user's file as they may stand in a message: shortened, and escaped so that nothing reaches the
/// terminal's controls.
enum PrintableText {
  static let longest = 80

  static func quoted(_ bytes: some Collection<UInt8>) -> String {
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
  static func short(_ bytes: some Collection<UInt8>) -> String {
    quoted(bytes.prefix(24)) + (bytes.count > 24 ? "..." : "")
  }

  /// A number with a fixed number of decimals, without the zeros at its end.
  static func decimal(_ value: Double, places: Int) -> String {
    var scale = 1.0
    for _ in 0..<places { scale *= 10 }
    let scaled = (value * scale).rounded()
    guard scaled.magnitude < 1e18 else { return "\(value)" }
    let (whole, part) = Int64(scaled.magnitude).quotientAndRemainder(dividingBy: Int64(scale))
    var digits = String(part)
    digits = String(repeating: "0", count: places - min(places, digits.count)) + digits
    while digits.last == "0" { digits.removeLast() }
    return (scaled < 0 ? "-" : "") + "\(whole)" + (digits.isEmpty || part == 0 ? "" : "." + digits)
  }
}
