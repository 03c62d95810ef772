import Glibc

/// Goes from object to object of a file.
struct ObjectRecords {
  private let bytes: UnsafePointer<UInt8>?
  private let count: Int
  private let dialect: ObjectDialect
  private let isLines: Bool
  private let checksLines: Bool
  private var nextLine = 1
  private var isOpened = false
  /// Within an array that is not closed yet.
  private var isInArray = false

  /// Bytes behind the records.
  private(set) var consumed = 0
  /// The line of the record, from 1.
  private(set) var line = 0
  private(set) var text = UnsafeRawBufferPointer(start: nil, count: 0)
  /// Where the object stands; nil where the record is none. Of an unchecked line it is the whole line.
  private(set) var object: Range<Int>?

  /// - Parameter checksLines: Whether a line is gone through to see that it is an object; else whoever reads it finds out, with
  ///   `isEnd` for what is behind it.
  init(_ body: UnsafeRawBufferPointer, dialect: ObjectDialect, isLines: Bool, checksLines: Bool = true) {
    self.checksLines = checksLines
    bytes = body.baseAddress?.assumingMemoryBound(to: UInt8.self)
    (count, self.dialect, self.isLines) = (body.count, dialect, isLines)
  }

  /// The next record; false at the end. Without lines nothing follows a record that is no object.
  mutating func next() -> Bool {
    guard let bytes else { return false }
    return isLines ? nextOfLines(bytes) : nextOfDocument(bytes)
  }

  private mutating func nextOfLines(_ bytes: UnsafePointer<UInt8>) -> Bool {
    while consumed < count {
      let start = consumed
      let found = memchr(bytes + start, 0x0A, count - start)
      let end = found.map { UnsafePointer($0.assumingMemoryBound(to: UInt8.self)) - bytes } ?? count
      consumed = min(end + 1, count)
      line = nextLine
      nextLine += 1
      var cursor = JSONCursor(bytes, start..<end, dialect)
      cursor.skipSpace()
      if cursor.place == end { continue }
      text = UnsafeRawBufferPointer(start: bytes + start, count: end - start)
      object = nil
      if !checksLines {
        object = cursor.place..<end
      } else if case .object(let range)? = cursor.value(), Self.isEnd(&cursor) {
        object = range
      }
      return true
    }
    return false
  }

  /// Whether nothing follows an object in its line; some dumps have a comma behind each.
  static func isEnd(_ cursor: inout JSONCursor) -> Bool {
    cursor.skipSpace()
    _ = cursor.skip(",")
    cursor.skipSpace()
    return cursor.place == cursor.end
  }

  private mutating func nextOfDocument(_ bytes: UnsafePointer<UInt8>) -> Bool {
    var cursor = JSONCursor(bytes, consumed..<count, dialect)
    cursor.skipSpace()
    if !isOpened {
      isOpened = true
      isInArray = cursor.skip("[")
    } else {
      _ = cursor.skip(",")
    }
    cursor.skipSpace()
    let closing = cursor.place
    if isInArray, cursor.skip("]") {
      cursor.skipSpace()
      if cursor.place == count { isInArray = false } else { cursor.place = closing }
    }
    nextLine += countLines(bytes, consumed..<cursor.place)
    if cursor.place == count, !isInArray {
      consumed = count
      return false
    }
    line = nextLine
    let start = cursor.place
    object = nil
    if case .object(let range)? = cursor.value() {
      object = range
      nextLine += countLines(bytes, range)
      consumed = range.upperBound
      text = UnsafeRawBufferPointer(start: bytes + start, count: range.count)
    } else {
      text = UnsafeRawBufferPointer(start: bytes + start, count: min(count - start, 400))
      consumed = count
      isInArray = false
    }
    return true
  }

  private func countLines(_ bytes: UnsafePointer<UInt8>, _ range: Range<Int>) -> Int {
    var (lines, place) = (0, range.lowerBound)
    while place < range.upperBound, let found = memchr(bytes + place, 0x0A, range.upperBound - place) {
      lines += 1
      place = UnsafePointer(found.assumingMemoryBound(to: UInt8.self)) - bytes + 1
    }
    return lines
  }
}
