/// What stands behind a backslash in a JSON string (RFC 8259, section 7).
package enum JSONEscape {
  package enum Problem: Error {
    case unknown, hexadecimal, surrogate

    var reason: String {
      switch self {
      case .unknown: "an unknown escape"
      case .hexadecimal: "not four hexadecimal digits"
      case .surrogate: "half a surrogate pair"
      }
    }
  }

  /// Reads an escape. `place` is behind the backslash, and then behind the escape.
  package static func scalar(
    _ bytes: UnsafeRawBufferPointer, _ place: inout Int
  ) throws(Problem) -> Unicode.Scalar {
    guard place < bytes.count else { throw .unknown }
    let letter = bytes[place]
    place += 1
    switch letter {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(letter)
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"):
      var code = try hexadecimal(bytes, &place, digits: 4)
      if (0xD800..<0xDC00).contains(code) {
        // UTF-16 writes what is beyond U+FFFF as a pair.
        guard place + 2 <= bytes.count, bytes[place] == UInt8(ascii: "\\"), bytes[place + 1] == UInt8(ascii: "u") else {
          throw .surrogate
        }
        place += 2
        let low = try hexadecimal(bytes, &place, digits: 4)
        guard (0xDC00..<0xE000).contains(low) else { throw .surrogate }
        code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
      }
      guard let scalar = Unicode.Scalar(code) else { throw .surrogate }
      return scalar
    default: throw .unknown
    }
  }

  /// A number of so many hexadecimal digits, 8 at most.
  package static func hexadecimal(
    _ bytes: UnsafeRawBufferPointer, _ place: inout Int, digits: Int
  ) throws(Problem) -> UInt32 {
    guard place + digits <= bytes.count else { throw .hexadecimal }
    var value: UInt32 = 0
    for _ in 0..<digits {
      guard let digit = Character(Unicode.Scalar(bytes[place])).hexDigitValue else { throw .hexadecimal }
      value = value << 4 | UInt32(digit)
      place += 1
    }
    return value
  }
}
