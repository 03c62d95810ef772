#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// How objects are written.
enum ObjectDialect: Equatable, Sendable {
  case json
  /// Dictionaries as Python prints them: either kind of quotes, `None`, `True`, tuples, a comma before a closing bracket.
  case python
}

/// Walks over JSON, or over Python's literals, without making values of them: what is not wanted is only passed over.
struct JSONCursor {
  /// What a value is, and where.
  enum Value {
    /// Between the quotes.
    case string(Range<Int>, hasEscapes: Bool)
    /// A number, or a word such as `true`.
    case plain(Range<Int>)
    case array(Range<Int>)
    case object(Range<Int>)
  }

  static let maximumDepth = 64

  let bytes: UnsafePointer<UInt8>
  let dialect: ObjectDialect
  var place: Int
  let end: Int

  init(_ bytes: UnsafePointer<UInt8>, _ range: Range<Int>, _ dialect: ObjectDialect) {
    (self.bytes, place, end, self.dialect) = (bytes, range.lowerBound, range.upperBound, dialect)
  }

  @inline(__always)
  mutating func skipSpace() {
    while place < end, bytes[place] == 0x20 || bytes[place] == 0x0A || bytes[place] == 0x0D || bytes[place] == 0x09 {
      place += 1
    }
  }

  @inline(__always)
  mutating func skip(_ character: Unicode.Scalar) -> Bool {
    guard place < end, bytes[place] == UInt8(ascii: character) else { return false }
    place += 1
    return true
  }

  /// What follows an opening bracket or a value: true before a next element, false behind the closing bracket, nil for
  /// anything else.
  @inline(__always)
  mutating func hasNext(_ closing: Unicode.Scalar, isFirst: Bool) -> Bool? {
    skipSpace()
    if isFirst { return !skip(closing) }
    if skip(closing) { return false }
    guard skip(",") else { return nil }
    skipSpace()
    return dialect == .python && skip(closing) ? false : true
  }

  /// A key and its colon.
  @inline(__always)
  mutating func key() -> (range: Range<Int>, hasEscapes: Bool)? {
    skipSpace()
    guard case .string(let range, let hasEscapes)? = string() else { return nil }
    skipSpace()
    return skip(":") ? (range, hasEscapes) : nil
  }

  /// Any value; nil where there is none.
  mutating func value(depth: Int = 0) -> Value? {
    skipSpace()
    guard place < end, depth < Self.maximumDepth else { return nil }
    switch bytes[place] {
    case UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "u"), UInt8(ascii: "b"), UInt8(ascii: "r"): return string()
    case UInt8(ascii: "{"): return composed("}", depth: depth) { .object($0) }
    case UInt8(ascii: "["): return composed("]", depth: depth) { .array($0) }
    case UInt8(ascii: "("):
      return dialect == .python ? composed(")", depth: depth) { .array($0) } : nil
    default: return plain()
    }
  }

  /// An object or an array, brackets included.
  private mutating func composed(_ closing: Unicode.Scalar, depth: Int, _ make: (Range<Int>) -> Value) -> Value? {
    let start = place
    place += 1
    var isFirst = true
    while true {
      guard let more = hasNext(closing, isFirst: isFirst) else { return nil }
      if !more { return make(start..<place) }
      isFirst = false
      if closing == "}", key() == nil { return nil }
      if value(depth: depth + 1) == nil { return nil }
    }
  }

  /// A number or one of the language's words.
  @inline(__always)
  private mutating func plain() -> Value? {
    let start = place
    // Most are whole numbers.
    while place < end, bytes[place] &- UInt8(ascii: "0") < 10 { place += 1 }
    if place > start, place == end || !Self.isPlain(bytes[place]) { return .plain(start..<place) }
    return otherPlain(start)
  }

  @inline(never)
  private mutating func otherPlain(_ start: Int) -> Value? {
    while place < end, Self.isPlain(bytes[place]) { place += 1 }
    let text = UnsafeRawBufferPointer(start: bytes + start, count: place - start)
    guard let first = text.first else { return nil }
    if first == UInt8(ascii: "-") || UInt8(ascii: "0")...UInt8(ascii: "9") ~= first {
      let isNumber = text.allSatisfy { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 || "+-.eE".utf8.contains($0) }
      return isNumber ? .plain(start..<place) : nil
    }
    let words = dialect == .json ? ["true", "false", "null", "NaN", "Infinity"] : ["True", "False", "None", "nan", "inf"]
    return words.contains { $0.utf8.elementsEqual(text) } ? .plain(start..<place) : nil
  }

  private static func isPlain(_ byte: UInt8) -> Bool {
    UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte || UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte | 0x20
      || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+") || byte == UInt8(ascii: ".")
  }

  private mutating func string() -> Value? {
    if dialect == .python, place < end, "ubr".utf8.contains(bytes[place]) { place += 1 }
    guard place < end else { return nil }
    let quote = bytes[place]
    guard quote == UInt8(ascii: "\"") || dialect == .python && quote == UInt8(ascii: "'") else { return nil }
    place += 1
    let start = place
    // Most keys and ids are shorter than what a call costs.
    let near = min(end, start + 16)
    while place < near, bytes[place] != quote, bytes[place] != UInt8(ascii: "\\") { place += 1 }
    if place < near, bytes[place] == quote {
      place += 1
      return .string(start..<(place - 1), hasEscapes: false)
    }
    while true {
      guard let found = memchr(bytes + place, Int32(quote), end - place) else { return nil }
      let close = UnsafePointer(found.assumingMemoryBound(to: UInt8.self)) - bytes
      var backslashes = 0
      while close - 1 - backslashes >= start, bytes[close - 1 - backslashes] == UInt8(ascii: "\\") { backslashes += 1 }
      place = close + 1
      if backslashes % 2 == 0 {
        let hasEscapes = memchr(bytes + start, Int32(UInt8(ascii: "\\")), close - start) != nil
        return .string(start..<close, hasEscapes: hasEscapes)
      }
    }
  }

  // MARK: Escapes

  /// Appends a string's text; false for an escape that does not exist.
  func unescape(_ range: Range<Int>, into text: inout GrowableStorage<UInt8>) -> Bool {
    var place = range.lowerBound
    func hexadecimal(_ digits: Int) -> UInt32? {
      guard place + digits <= range.upperBound else { return nil }
      var value: UInt32 = 0
      for offset in 0..<digits {
        guard let digit = Character(Unicode.Scalar(bytes[place + offset])).hexDigitValue else { return nil }
        value = value << 4 | UInt32(digit)
      }
      place += digits
      return value
    }
    func append(_ code: UInt32?) -> Bool {
      guard let code, let scalar = Unicode.Scalar(code) else { return false }
      for byte in String(Character(scalar)).utf8 { text.append(byte) }
      return true
    }
    while place < range.upperBound {
      let byte = bytes[place]
      place += 1
      guard byte == UInt8(ascii: "\\") else {
        text.append(byte)
        continue
      }
      guard place < range.upperBound else { return false }
      let letter = bytes[place]
      place += 1
      switch Character(Unicode.Scalar(letter)) {
      case "\"", "\\", "/": text.append(letter)
      case "'" where dialect == .python: text.append(letter)
      case "b": text.append(0x08)
      case "f": text.append(0x0C)
      case "n": text.append(0x0A)
      case "r": text.append(0x0D)
      case "t": text.append(0x09)
      case "x" where dialect == .python: if !append(hexadecimal(2)) { return false }
      case "U" where dialect == .python: if !append(hexadecimal(8)) { return false }
      case "u":
        guard var code = hexadecimal(4) else { return false }
        if (0xD800..<0xDC00).contains(code) {
          // UTF-16 writes what is beyond U+FFFF as a pair.
          guard place + 2 <= range.upperBound, bytes[place] == UInt8(ascii: "\\"), bytes[place + 1] == UInt8(ascii: "u") else {
            return false
          }
          place += 2
          guard let low = hexadecimal(4), (0xDC00..<0xE000).contains(low) else { return false }
          code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
        }
        if !append(code) { return false }
      default: return false
      }
    }
    return true
  }
}
