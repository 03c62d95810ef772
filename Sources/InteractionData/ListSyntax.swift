/// How several items stand in one field: `a b c`, `a,b,c`, `[1, 2, 3]`, `['a', 'b']`.
struct ListSyntax: Equatable, Sendable {
  /// What stands between items.
  var separator: UInt8

  var description: String {
    switch separator {
    case 0x09: "tabs"
    case 0x20: "spaces"
    default: "'\(Character(Unicode.Scalar(separator)))'"
    }
  }

  static let separators = Array(",|; ".utf8)

  static func isBracketed(_ value: [UInt8]) -> Bool {
    let (first, last) = (value.first, value.last)
    return first == UInt8(ascii: "[") && last == UInt8(ascii: "]") || first == UInt8(ascii: "{") && last == UInt8(ascii: "}")
      || first == UInt8(ascii: "(") && last == UInt8(ascii: ")")
  }

  /// The syntax of a column's lists: the first separator that most of those with several items have.
  static func of(_ values: [[UInt8]]) -> ListSyntax {
    let inner = values.map { isBracketed($0) ? Array($0.dropFirst().dropLast()) : $0 }
    for separator in separators.dropLast() where 3 * inner.count(where: { $0.contains(separator) }) > inner.count {
      return ListSyntax(separator: separator)
    }
    return ListSyntax(separator: inner.contains { $0.contains(0x09) } ? 0x09 : 0x20)
  }

  /// Hands over the items from left to right, without brackets, the spaces and the quotes around them. Empty ones are
  /// handed over too, for the caller to count, unless spaces separate. `body` says whether to go on.
  func forEach(in text: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Bool) {
    var inner = Self.trimmed(text)
    if let first = inner.first, let last = inner.last, inner.count >= 2, "[{(".utf8.contains(first), "]})".utf8.contains(last) {
      inner = Self.trimmed(UnsafeRawBufferPointer(rebasing: inner[1..<(inner.count - 1)]))
    }
    if inner.isEmpty { return }
    var start = 0
    while start <= inner.count {
      var end = start
      while end < inner.count, inner[end] != separator { end += 1 }
      let item = Self.unquoted(Self.trimmed(UnsafeRawBufferPointer(rebasing: inner[start..<end])))
      if separator != 0x20 || !item.isEmpty, !body(item) { return }
      start = end + 1
    }
  }

  private static func trimmed(_ text: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    var (start, end) = (0, text.count)
    while start < end, text[start] == 0x20 || text[start] == 0x09 { start += 1 }
    while end > start, text[end - 1] == 0x20 || text[end - 1] == 0x09 { end -= 1 }
    return UnsafeRawBufferPointer(rebasing: text[start..<end])
  }

  private static func unquoted(_ text: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    guard text.count >= 2, let first = text.first, first == text.last, first == UInt8(ascii: "\"") || first == UInt8(ascii: "'")
    else { return text }
    return UnsafeRawBufferPointer(rebasing: text[1..<(text.count - 1)])
  }

  // MARK: Recognising lists without brackets

  /// Whether a column holds lists of ids: several of them in most rows, and no words. Titles hold words.
  static func areIDs(_ values: [[UInt8]], separator: UInt8) -> Bool {
    var (several, ids, tokens) = (0, 0, 0)
    for value in values {
      let parts = value.split(separator: separator)
      if parts.count > 1 { several += 1 }
      for part in parts {
        tokens += 1
        if isID(part) { ids += 1 }
      }
    }
    return !values.isEmpty && 2 * several >= values.count && 20 * ids >= 19 * tokens
  }

  /// One character, or at least one digit.
  private static func isID(_ token: ArraySlice<UInt8>) -> Bool {
    token.count == 1 || token.contains { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
  }
}
