import Glibc
import SystemSupport

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
  @inline(__always)
  mutating func value(depth: Int = 0) -> Value? {
    skipSpace()
    guard place < end, depth < Self.maximumDepth else { return nil }
    // Most are whole numbers, and strings.
    if bytes[place] &- UInt8(ascii: "0") < 10 { return plain() }
    return bytes[place] == UInt8(ascii: "\"") ? string() : otherValue(depth)
  }

  @inline(never)
  private mutating func otherValue(_ depth: Int) -> Value? {
    switch bytes[place] {
    case UInt8(ascii: "'"), UInt8(ascii: "u"), UInt8(ascii: "b"), UInt8(ascii: "r"): return string()
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

  @inline(__always)
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
    return longString(start, quote)
  }

  /// The rest of a string that starts at `start`; the cursor is anywhere in it, though not behind a backslash.
  @inline(never)
  private mutating func longString(_ start: Int, _ quote: UInt8) -> Value? {
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

  // MARK: Objects

  /// The members of an object, one after the other.
  struct Members {
    /// Behind what has been read.
    private(set) var cursor: JSONCursor
    /// Whether the object's end was reached: false before it, and for what is not well-formed.
    private(set) var isClosed = false
    private var isFirst = true

    /// nil where no object begins.
    fileprivate init?(_ cursor: JSONCursor) {
      self.cursor = cursor
      guard self.cursor.skip("{") else { return nil }
    }

    @inline(__always)
    mutating func next() -> (key: Range<Int>, hasEscapes: Bool, value: Value)? {
      guard let more = cursor.hasNext("}", isFirst: isFirst) else { return nil }
      isFirst = false
      isClosed = !more
      guard more, let key = cursor.key(), let value = cursor.value() else { return nil }
      return (key.range, key.hasEscapes, value)
    }
  }

  /// The members of the object that begins here; nil where none does.
  func members() -> Members? { Members(self) }

  // MARK: Strings

  /// A string's text; nil for an escape that does not exist.
  func text(_ range: Range<Int>, hasEscapes: Bool) -> [UInt8]? {
    if !hasEscapes { return Array(UnsafeRawBufferPointer(start: bytes + range.lowerBound, count: range.count)) }
    var text = GrowableStorage<UInt8>()
    return unescape(range, into: &text) ? Array(text.elements) : nil
  }

  /// Appends a string's text; false for an escape that does not exist.
  func unescape(_ range: Range<Int>, into text: inout GrowableStorage<UInt8>) -> Bool {
    let string = UnsafeRawBufferPointer(start: bytes, count: range.upperBound)
    var place = range.lowerBound
    while place < range.upperBound {
      let byte = bytes[place]
      place += 1
      guard byte == UInt8(ascii: "\\") else {
        text.append(byte)
        continue
      }
      guard let scalar = try? escape(string, &place) else { return false }
      for byte in scalar.utf8 { text.append(byte) }
    }
    return true
  }

  /// JSON's escapes; in Python's literals some more.
  private func escape(_ string: UnsafeRawBufferPointer, _ place: inout Int) throws(JSONEscape.Problem) -> Unicode.Scalar {
    guard dialect == .python, place < string.count else { return try JSONEscape.scalar(string, &place) }
    let digits: Int
    switch string[place] {
    case UInt8(ascii: "'"):
      place += 1
      return "'"
    case UInt8(ascii: "x"): digits = 2
    case UInt8(ascii: "U"): digits = 8
    default: return try JSONEscape.scalar(string, &place)
    }
    place += 1
    guard let scalar = Unicode.Scalar(try JSONEscape.hexadecimal(string, &place, digits: digits)) else { throw .unknown }
    return scalar
  }
}
