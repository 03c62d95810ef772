import Glibc

/// What stands between the columns of a text file.
enum Separator: Equatable, Sendable {
  /// Two columns. A line that holds a tab is cut there and nowhere else (its ids may hold spaces); any other at its
  /// spaces.
  case pairs
  case tab
  case doubleColon
  case comma
  case semicolon
  case pipe
  case spaces
  /// Two columns: what stands before the first such byte, and all the rest.
  case first(UInt8)

  var description: String {
    switch self {
    case .pairs: "one space"
    case .tab: "tabs"
    case .doubleColon: "'::'"
    case .comma: "commas"
    case .semicolon: "semicolons"
    case .pipe: "'|'"
    case .spaces: "spaces"
    case .first(let byte): ListSyntax(separator: byte).description
    }
  }

  /// Comma and semicolon come with the quotes of RFC 4180; the others only where a file shows them.
  var usualQuoting: Quoting { self == .comma || self == .semicolon ? .doubled : .none }
}

/// How fields that hold separators are quoted.
enum Quoting: Equatable, Sendable {
  case none
  /// RFC 4180: a quote inside quotes is doubled.
  case doubled
  /// Spark, Hive, MySQL: a quote inside quotes follows a backslash.
  case backslash
}

/// Cuts text into records and fields without copying: fields point into the text, or into a scratch buffer where a
/// quoted field holds doubled quotes, and are valid until the next record. Blank lines are passed over; LF and CRLF
/// end lines.
struct RecordScanner: ~Copyable {
  /// A quoted field must end within so many bytes: one stray quote must not swallow the rest of a file.
  static let longestQuotedRecord = 1 << 16

  private let separator: Separator
  private let quoting: Quoting
  private let start: UnsafePointer<UInt8>
  private let end: UnsafePointer<UInt8>
  private var cursor: UnsafePointer<UInt8>
  private var nextLine = 1
  private let fields: UnsafeMutablePointer<UnsafeRawBufferPointer>  // (storedFields)
  private let storedFields: Int
  private var scratch = GrowableStorage<UInt8>()

  /// Number of the record's first line, from 1.
  private(set) var line = 0
  /// The record without its line end.
  private(set) var text = UnsafeRawBufferPointer(start: nil, count: 0)
  /// How many fields the record has; only the first `storedFields` can be asked for.
  private(set) var fieldCount = 0
  /// A quote that never ends, or text after a closing quote: the record is the one line, without fields.
  private(set) var hasBadQuotes = false

  /// `bytes` stay valid as long as the scanner.
  init(_ bytes: UnsafeRawBufferPointer, separator: Separator, quoting: Quoting? = nil, storedFields: Int) {
    self.separator = separator
    self.quoting = quoting ?? separator.usualQuoting
    self.storedFields = storedFields
    fields = .allocate(capacity: storedFields)
    fields.initialize(repeating: UnsafeRawBufferPointer(start: nil, count: 0), count: storedFields)
    // The address of an empty buffer is never read through.
    start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) ?? UnsafePointer(scratch.base)
    end = start + bytes.count
    cursor = start
  }

  deinit { fields.deallocate() }

  /// Bytes behind the scanner.
  var consumed: Int { cursor - start }

  subscript(field: Int) -> UnsafeRawBufferPointer { fields[field] }

  /// Goes on to the next record; false at the end.
  mutating func next() -> Bool {
    while cursor < end {
      let first = cursor
      let lineEnd = Self.lineEnd(from: first, end)
      cursor = lineEnd < end ? lineEnd + 1 : end
      line = nextLine
      nextLine += 1
      let last = Self.withoutCarriageReturn(first, lineEnd)
      if Self.isBlank(first, last) { continue }
      text = UnsafeRawBufferPointer(start: first, count: last - first)
      fieldCount = 0
      hasBadQuotes = false
      split(first, last)
      return true
    }
    return false
  }

  @inline(__always)
  private static func lineEnd(
    from first: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>
  ) -> UnsafePointer<UInt8> {
    find(0x0A, first, end) ?? end
  }

  @inline(__always)
  private static func find(
    _ byte: UInt8, _ first: UnsafePointer<UInt8>, _ last: UnsafePointer<UInt8>
  ) -> UnsafePointer<UInt8>? {
    memchr(first, Int32(byte), last - first).map { UnsafePointer($0.assumingMemoryBound(to: UInt8.self)) }
  }

  @inline(__always)
  private static func withoutCarriageReturn(
    _ first: UnsafePointer<UInt8>, _ lineEnd: UnsafePointer<UInt8>
  ) -> UnsafePointer<UInt8> {
    lineEnd > first && lineEnd[-1] == 0x0D ? lineEnd - 1 : lineEnd
  }

  @inline(__always)
  private static func isBlank(_ first: UnsafePointer<UInt8>, _ last: UnsafePointer<UInt8>) -> Bool {
    var place = first
    while place < last, place[0] == UInt8(ascii: " ") { place += 1 }
    return place == last
  }

  @inline(__always)
  private mutating func store(_ first: UnsafePointer<UInt8>, _ last: UnsafePointer<UInt8>) {
    if fieldCount < storedFields { fields[fieldCount] = UnsafeRawBufferPointer(start: first, count: last - first) }
    fieldCount &+= 1
  }

  @inline(__always)
  private mutating func split(_ first: UnsafePointer<UInt8>, _ last: UnsafePointer<UInt8>) {
    if quoting != .none, Self.find(UInt8(ascii: "\""), first, last) != nil { return splitQuoted(quotedSeparator, first, last) }
    switch separator {
    case .pairs:
      if Self.find(0x09, first, last) != nil {
        splitAtByte(0x09, first, last)
      } else {
        splitAtSpaces(first, last)
      }
    case .tab: splitAtByte(0x09, first, last)
    case .spaces: splitAtSpaces(first, last)
    case .doubleColon: splitAtDoubleColons(first, last)
    case .comma: splitAtByte(UInt8(ascii: ","), first, last)
    case .semicolon: splitAtByte(UInt8(ascii: ";"), first, last)
    case .pipe: splitAtByte(UInt8(ascii: "|"), first, last)
    case .first(let byte): splitAtFirst(byte, first, last)
    }
  }

  /// Between quoted fields there is exactly one.
  private var quotedSeparator: UInt8 {
    switch separator {
    case .comma: UInt8(ascii: ",")
    case .semicolon: UInt8(ascii: ";")
    case .pipe: UInt8(ascii: "|")
    case .tab: 0x09
    case .pairs, .spaces, .doubleColon: 0x20
    case .first(let byte): byte
    }
  }

  private mutating func splitAtFirst(_ byte: UInt8, _ first: UnsafePointer<UInt8>, _ last: UnsafePointer<UInt8>) {
    var start = first
    while start < last, start[0] == 0x20 { start += 1 }
    guard let end = Self.find(byte, start, last) else { return store(start, last) }
    store(start, end)
    store(end + 1, last)
  }

  @inline(__always)
  private mutating func splitAtByte(_ byte: UInt8, _ first: UnsafePointer<UInt8>, _ last: UnsafePointer<UInt8>) {
    var (field, place) = (first, first)
    while place < last {
      if place[0] == byte {
        store(field, place)
        field = place + 1
      }
      place += 1
    }
    store(field, last)
  }

  @inline(__always)
  private mutating func splitAtSpaces(_ first: UnsafePointer<UInt8>, _ last: UnsafePointer<UInt8>) {
    let space = UInt8(ascii: " ")
    var place = first
    while place < last {
      if place[0] == space {
        place += 1
        continue
      }
      let field = place
      while place < last, place[0] != space { place += 1 }
      store(field, place)
    }
  }

  private mutating func splitAtDoubleColons(_ first: UnsafePointer<UInt8>, _ last: UnsafePointer<UInt8>) {
    let colon = UInt8(ascii: ":")
    var (field, place) = (first, first)
    while place + 1 < last {
      if place[0] == colon, place[1] == colon {
        store(field, place)
        place += 2
        field = place
      } else {
        place += 1
      }
    }
    store(field, last)
  }

  /// RFC 4180: a field that begins with a quote ends with one, doubled quotes inside stand for one, and line ends
  /// inside belong to it.
  @inline(never)
  private mutating func splitQuoted(_ byte: UInt8, _ first: UnsafePointer<UInt8>, _ lastOfLine: UnsafePointer<UInt8>) {
    let quote = UInt8(ascii: "\"")
    let limit = min(end, max(lastOfLine, first + min(Self.longestQuotedRecord, end - first)))
    // Fields point into the scratch buffer, which therefore must not move.
    scratch.removeAll()
    scratch.reserve(limit - first)
    var (place, last) = (first, lastOfLine)
    var afterRecord = cursor
    while true {
      if place < last, place[0] == quote {
        var segment = place + 1
        let firstOfScratch = scratch.count
        var closing: UnsafePointer<UInt8>?
        while let found = Self.find(quote, segment, limit) {
          if quoting == .backslash {
            closing = unescape(&segment, limit)
            break
          }
          if found + 1 < limit, found[1] == quote {
            scratch.append(segment, count: found + 1 - segment)
            segment = found + 2
          } else {
            closing = found
            break
          }
        }
        guard let closing else { return refuseQuotes() }
        if scratch.count == firstOfScratch {
          store(segment, closing)
        } else {
          scratch.append(segment, count: closing - segment)
          let unescaped = UnsafePointer(scratch.base) + firstOfScratch
          store(unescaped, unescaped + (scratch.count - firstOfScratch))
        }
        place = closing + 1
        if closing >= last {
          let lineEnd = Self.lineEnd(from: place, end)
          last = Self.withoutCarriageReturn(place, lineEnd)
          afterRecord = lineEnd < end ? lineEnd + 1 : end
        }
        if place < last, place[0] != byte { return refuseQuotes() }
      } else {
        let field = place
        place = Self.find(byte, place, last) ?? last
        store(field, place)
      }
      if place >= last { break }
      place += 1
      if place == last {
        store(place, place)
        break
      }
    }
    if afterRecord > cursor {
      var passed = cursor
      while passed < afterRecord {
        passed = Self.lineEnd(from: passed, end) + 1
        nextLine += 1
      }
      cursor = afterRecord
      text = UnsafeRawBufferPointer(start: first, count: last - first)
    }
  }

  /// Appends what stands inside quotes to the scratch buffer, up to the closing one, which it returns. `\"` stands for a
  /// quote and `\\` for a backslash; a backslash before anything else stands for itself.
  private mutating func unescape(
    _ segment: inout UnsafePointer<UInt8>, _ limit: UnsafePointer<UInt8>
  ) -> UnsafePointer<UInt8>? {
    let (quote, backslash) = (UInt8(ascii: "\""), UInt8(ascii: "\\"))
    var place = segment
    while place < limit {
      if place[0] == quote {
        segment = place
        return place
      }
      if place[0] == backslash, place + 1 < limit, place[1] == quote || place[1] == backslash { place += 1 }
      scratch.append(place[0])
      place += 1
    }
    return nil
  }

  private mutating func refuseQuotes() {
    fieldCount = 0
    hasBadQuotes = true
  }
}
