/// Ids in tab-separated files: tab, carriage return, line feed and backslash are written as two characters, `\t \r \n
/// \\`; all other bytes stand as they are.
package enum TSVText {
  private static let escapes: [(byte: UInt8, letter: UInt8)] = [
    (0x09, UInt8(ascii: "t")), (0x0D, UInt8(ascii: "r")), (0x0A, UInt8(ascii: "n")),
    (UInt8(ascii: "\\"), UInt8(ascii: "\\")),
  ]

  package static func escape(_ id: ArraySlice<UInt8>) -> [UInt8] {
    var text: [UInt8] = []
    text.reserveCapacity(id.count)
    append(id, to: &text)
    return text
  }

  package static func append(_ id: ArraySlice<UInt8>, to text: inout [UInt8]) {
    for byte in id {
      if let escape = escapes.first(where: { $0.byte == byte }) {
        text.append(UInt8(ascii: "\\"))
        text.append(escape.letter)
      } else {
        text.append(byte)
      }
    }
  }

  /// Whether a text stands for itself, byte by byte, as nearly all do.
  package static func isPlain(_ text: UnsafeRawBufferPointer) -> Bool {
    for byte in text where byte == UInt8(ascii: "\\") || byte == 0x09 || byte == 0x0A || byte == 0x0D { return false }
    return true
  }

  /// Nil for a backslash that no known letter follows, and for a tab or line end that should have been escaped.
  package static func unescape(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
    var id: [UInt8] = []
    id.reserveCapacity(text.count)
    var isEscaped = false
    for byte in text {
      if isEscaped {
        guard let escape = escapes.first(where: { $0.letter == byte }) else { return nil }
        id.append(escape.byte)
        isEscaped = false
      } else if byte == UInt8(ascii: "\\") {
        isEscaped = true
      } else if byte == 0x09 || byte == 0x0A || byte == 0x0D {
        return nil
      } else {
        id.append(byte)
      }
    }
    return isEscaped ? nil : id
  }
  package static func unescape(_ text: [UInt8]) -> [UInt8]? { text.withUnsafeBytes { unescape($0) } }
}
