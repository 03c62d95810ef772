/// Remembers the keys of objects by their places: the objects of a file mostly have the same keys in the same order, and a
/// key that is the same as in the object before need be neither parsed nor looked up again.
final class KnownKeys {
  /// A key of at most 16 bytes, from its first quote to its colon.
  private struct Key {
    var bytes: (UInt64, UInt64) = (0, 0)
    var mask: (UInt64, UInt64) = (0, 0)
    /// 0: none.
    var length = 0
    /// As `learn` got it.
    var value = 0
  }

  private static let count = 16
  /// Bytes of a key that is remembered.
  private static let longest = 16

  private let keys: UnsafeMutablePointer<Key>  // (count)

  init() {
    keys = .allocate(capacity: Self.count)
    keys.initialize(repeating: Key(), count: Self.count)
  }

  deinit { keys.deallocate() }

  /// What was learnt with the key at this place, -1 for a key that is nothing to the reader, with the cursor behind its
  /// colon; nil, and the cursor where it was, where another key stands here.
  @inline(__always)
  func pass(_ cursor: inout JSONCursor, _ number: Int) -> Int? {
    guard number < Self.count, cursor.end &- cursor.place >= Self.longest else { return nil }
    let key = keys + number
    let (first, second) = Self.read(cursor.bytes + cursor.place)
    let difference = (first & key.pointee.mask.0 ^ key.pointee.bytes.0) | (second & key.pointee.mask.1 ^ key.pointee.bytes.1)
    guard difference == 0, key.pointee.length > 0 else { return nil }
    cursor.place &+= key.pointee.length
    return key.pointee.value
  }

  /// Remembers a key, with quotes and colon, and what it is to the reader; nil: nothing.
  @inline(never)
  func learn(_ range: Range<Int>, _ cursor: JSONCursor, _ number: Int, _ value: Int?) {
    guard number < Self.count, range.count <= Self.longest, cursor.end - range.lowerBound >= Self.longest else { return }
    func mask(_ bytes: Int) -> UInt64 { bytes >= 8 ? .max : (1 << (8 * UInt64(max(bytes, 0)))) - 1 }
    let masks = (mask(range.count), mask(range.count - 8))
    let (first, second) = Self.read(cursor.bytes + range.lowerBound)
    keys[number] = Key(bytes: (first & masks.0, second & masks.1), mask: masks, length: range.count, value: value ?? -1)
  }

  @inline(__always)
  private static func read(_ bytes: UnsafePointer<UInt8>) -> (UInt64, UInt64) {
    let raw = UnsafeRawPointer(bytes)
    return (
      UInt64(littleEndian: raw.loadUnaligned(as: UInt64.self)),
      UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    )
  }
}
