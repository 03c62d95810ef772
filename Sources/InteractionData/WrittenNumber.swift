/// Decimal numbers as files have them.
enum WrittenNumber {
  /// The value, also `nan` and infinities; nil for what is no number. Hexadecimal numbers are none.
  static func parse(_ text: some Collection<UInt8>) -> Double? {
    guard !text.isEmpty, text.count <= 64 else { return nil }
    let isDecimal = text.allSatisfy { byte in
      (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || "+-.eE".utf8.contains(byte)
    }
    let string = String(decoding: text, as: UTF8.self)
    if isDecimal { return Double(string) }
    let word = string.lowercased()
    let unsigned = word.hasPrefix("-") || word.hasPrefix("+") ? String(word.dropFirst()) : word
    switch unsigned {
    case "nan": return .nan
    case "inf", "infinity": return .infinity
    default: return nil
    }
  }
}
