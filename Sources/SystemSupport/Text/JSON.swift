/// A JSON value (RFC 8259). Objects keep their order; numbers keep their text, so that no digit is lost.
///
/// Foundation's reader takes the last of two equal keys without a word, which a file that is not to be trusted must not
/// get away with; this one refuses them.
package enum JSON: Sendable, Equatable {
  case null
  case bool(Bool)
  case number(String)
  case string(String)
  case array([JSON])
  case object([Member])

  package struct Member: Sendable, Equatable {
    package let key: String
    package let value: JSON

    package init(_ key: String, _ value: JSON) {
      self.key = key
      self.value = value
    }
  }

  /// An object of strings, in the order of their keys.
  package static func strings(_ values: [String: String]) -> JSON {
    .object(values.sorted { $0.key < $1.key }.map { Member($0.key, .string($0.value)) })
  }

  package static func integer(_ value: some BinaryInteger) -> JSON { .number(String(value)) }

  /// The shortest text that reads back as the same number; null for those that JSON does not have.
  package static func double(_ value: Double) -> JSON { value.isFinite ? .number(value.description) : .null }

  package var int: Int? {
    guard case .number(let text) = self else { return nil }
    return Int(text)
  }

  package var unsigned: UInt64? {
    guard case .number(let text) = self else { return nil }
    return UInt64(text)
  }

  package var double: Double? {
    guard case .number(let text) = self else { return nil }
    return Double(text)
  }

  package var string: String? {
    guard case .string(let text) = self else { return nil }
    return text
  }

  package var members: [Member]? {
    guard case .object(let members) = self else { return nil }
    return members
  }

  package var elements: [JSON]? {
    guard case .array(let elements) = self else { return nil }
    return elements
  }

  /// An object's value of a key.
  package subscript(key: String) -> JSON? { members?.first { $0.key == key }?.value }
}

/// An object with these keys in this order.
extension JSON: ExpressibleByDictionaryLiteral {
  package init(dictionaryLiteral members: (String, JSON)...) { self = .object(members.map { Member($0.0, $0.1) }) }
}
