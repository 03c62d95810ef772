/// Why a text is not JSON, and at which byte.
package struct JSONError: Error, Sendable, CustomStringConvertible {
  package let reason: String
  package let offset: Int

  package var description: String { "\(reason) at byte \(offset)" }
}

extension JSON {
  /// Reads one value and nothing after it but white space. Equal keys in an object, bytes that are not UTF-8 and more
  /// than 32 levels are errors.
  package static func parse(_ bytes: UnsafeRawBufferPointer) throws(JSONError) -> JSON {
    var parser = JSONParser(bytes: bytes)
    return try parser.parseDocument()
  }

  package static func parse(_ bytes: [UInt8]) throws(JSONError) -> JSON {
    let result = bytes.withUnsafeBytes { buffer in
      Result { () throws(JSONError) in try parse(buffer) }
    }
    return try result.get()
  }
}

private struct JSONParser {
  let bytes: UnsafeRawBufferPointer
  var position = 0
  static let maximumDepth = 32

  init(bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  func failure(_ reason: String) -> JSONError { JSONError(reason: reason, offset: position) }

  var current: UInt8? { position < bytes.count ? bytes[position] : nil }

  mutating func parseDocument() throws(JSONError) -> JSON {
    let value = try parseValue(depth: 0)
    skipSpace()
    guard current == nil else { throw failure("something after the end") }
    return value
  }

  mutating func skipSpace() {
    while let byte = current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
  }

  mutating func take(_ expected: Character) -> Bool {
    guard current == expected.asciiValue else { return false }
    position += 1
    return true
  }

  mutating func parseValue(depth: Int) throws(JSONError) -> JSON {
    guard depth < Self.maximumDepth else { throw failure("nested too deeply") }
    skipSpace()
    guard let byte = current else { throw failure("the text ends too early") }
    switch byte {
    case UInt8(ascii: "{"): return try parseObject(depth: depth)
    case UInt8(ascii: "["): return try parseArray(depth: depth)
    case UInt8(ascii: "\""): return .string(try parseString())
    case UInt8(ascii: "t"): return try parseWord("true", .bool(true))
    case UInt8(ascii: "f"): return try parseWord("false", .bool(false))
    case UInt8(ascii: "n"): return try parseWord("null", .null)
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number(try parseNumber())
    default: throw failure("not a value")
    }
  }

  mutating func parseObject(depth: Int) throws(JSONError) -> JSON {
    position += 1
    var members: [JSON.Member] = []
    var keys: Set<String> = []
    skipSpace()
    if take("}") { return .object([]) }
    while true {
      skipSpace()
      guard current == UInt8(ascii: "\"") else { throw failure("a key is missing") }
      let key = try parseString()
      guard keys.insert(key).inserted else { throw failure("the key \"\(key)\" is given twice") }
      skipSpace()
      guard take(":") else { throw failure("a colon is missing") }
      members.append(JSON.Member(key, try parseValue(depth: depth + 1)))
      skipSpace()
      if take("}") { return .object(members) }
      guard take(",") else { throw failure("a comma is missing") }
    }
  }

  mutating func parseArray(depth: Int) throws(JSONError) -> JSON {
    position += 1
    var values: [JSON] = []
    skipSpace()
    if take("]") { return .array([]) }
    while true {
      values.append(try parseValue(depth: depth + 1))
      skipSpace()
      if take("]") { return .array(values) }
      guard take(",") else { throw failure("a comma is missing") }
    }
  }

  mutating func parseWord(_ word: StaticString, _ value: JSON) throws(JSONError) -> JSON {
    let end = position + word.utf8CodeUnitCount
    let expected = UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount)
    guard end <= bytes.count, bytes[position..<end].elementsEqual(expected) else { throw failure("not a value") }
    position = end
    return value
  }

  mutating func parseNumber() throws(JSONError) -> String {
    let start = position
    _ = take("-")
    let leadingZero = current == UInt8(ascii: "0")
    let integerDigits = skipDigits()
    guard integerDigits > 0, !leadingZero || integerDigits == 1 else { throw failure("not a number") }
    if take(".") { guard skipDigits() > 0 else { throw failure("not a number") } }
    if take("e") || take("E") {
      if !take("+") { _ = take("-") }
      guard skipDigits() > 0 else { throw failure("not a number") }
    }
    return String(decoding: bytes[start..<position], as: UTF8.self)
  }

  mutating func skipDigits() -> Int {
    let start = position
    while let byte = current, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") { position += 1 }
    return position - start
  }

  mutating func parseString() throws(JSONError) -> String {
    let start = position
    position += 1
    var text: [UInt8] = []
    while let byte = current {
      position += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let string = String(validating: text, as: UTF8.self) else {
          throw JSONError(reason: "a string that is not UTF-8", offset: start)
        }
        return string
      case UInt8(ascii: "\\"): try parseEscape(into: &text)
      case 0..<0x20: throw failure("a control character in a string")
      default: text.append(byte)
      }
    }
    throw failure("a string without an end")
  }

  mutating func parseEscape(into text: inout [UInt8]) throws(JSONError) {
    guard current != nil else { throw failure("a string without an end") }
    do throws(JSONEscape.Problem) {
      text.append(contentsOf: try JSONEscape.scalar(bytes, &position).utf8)
    } catch {
      throw failure(error.reason)
    }
  }
}
