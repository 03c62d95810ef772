import Glibc

/// Checks what comes out of gzip data against the lengths and sums that stand in it (RFC 1952), which libarchive passes
/// over. A file may hold several members, one behind the other, whose contents are joined.
struct GzipChecksum {
  private static let trailerSize = 8
  private static let shortestMember = 18
  private let packed: UnsafeRawBufferPointer
  private var sum = CRC32()
  /// Bytes of the current member so far.
  private var length: UInt64 = 0
  /// Packed bytes behind the place up to which headers of further members were looked for.
  private var searched = Self.shortestMember

  init(_ packed: UnsafeRawBufferPointer) { self.packed = packed }

  /// Takes the next unpacked bytes; `consumed` packed ones are behind the reader then.
  mutating func add(_ block: UnsafeRawBufferPointer, consumed: Int) {
    var rest = block
    // Members that ended within the block: another header begins behind their trailer.
    while let header = nextHeader(upTo: consumed) {
      searched = header + 1
      let (expected, size) = trailer(endingAt: header)
      let left = Int(size &- UInt32(truncatingIfNeeded: length))
      // The same three bytes within compressed data are followed by neither the right length nor the right sum.
      guard left <= rest.count else { continue }
      var whole = sum
      whole.add(UnsafeRawBufferPointer(rebasing: rest[..<left]))
      guard whole.value == expected else { continue }
      rest = UnsafeRawBufferPointer(rebasing: rest[left...])
      (sum, length) = (CRC32(), 0)
    }
    searched = max(searched, consumed)
    sum.add(rest)
    length += UInt64(rest.count)
  }

  /// Whether the last member has the length and the sum that stand behind it; `consumed` packed bytes were all.
  mutating func isRight(consumed: Int) -> Bool {
    add(UnsafeRawBufferPointer(start: nil, count: 0), consumed: consumed)
    guard (Self.trailerSize...packed.count).contains(consumed) else { return false }
    let (expected, size) = trailer(endingAt: consumed)
    return expected == sum.value && size == UInt32(truncatingIfNeeded: length)
  }

  /// Where the next member may begin, at most at `end`.
  private func nextHeader(upTo end: Int) -> Int? {
    guard let base = packed.baseAddress else { return nil }
    let limit = min(end + Self.magic.count, packed.count)
    var place = searched
    while place + Self.magic.count <= limit, let found = memchr(base + place, Int32(Self.magic[0]), limit - place) {
      place = UnsafeRawPointer(found) - base
      if packed[place..<limit].starts(with: Self.magic) { return place }
      place += 1
    }
    return nil
  }

  private static let magic: [UInt8] = [0x1F, 0x8B, 8]

  private func trailer(endingAt end: Int) -> (sum: UInt32, size: UInt32) {
    func number(_ place: Int) -> UInt32 { UInt32(littleEndian: packed.loadUnaligned(fromByteOffset: place, as: UInt32.self)) }
    return (number(end - 8), number(end - 4))
  }
}

/// The sum of gzip and zip: polynomial 0xEDB88320, eight bytes at a time by eight tables.
struct CRC32 {
  private var state: UInt32 = ~0

  var value: UInt32 { ~state }

  // (8, 256); kept for the whole run.
  nonisolated(unsafe) private static let tables: UnsafePointer<UInt32> = {
    let tables = UnsafeMutablePointer<UInt32>.allocate(capacity: 8 * 256)
    for byte in 0..<256 {
      var value = UInt32(byte)
      for _ in 0..<8 { value = value & 1 == 1 ? value >> 1 ^ 0xEDB8_8320 : value >> 1 }
      tables[byte] = value
    }
    for place in 256..<(8 * 256) {
      let before = tables[place - 256]
      tables[place] = before >> 8 ^ tables[Int(before & 0xFF)]
    }
    return UnsafePointer(tables)
  }()

  mutating func add(_ bytes: UnsafeRawBufferPointer) {
    guard let base = bytes.baseAddress else { return }
    let tables = Self.tables
    var (state, place) = (state, 0)
    while place &+ 8 <= bytes.count {
      let word = UInt64(littleEndian: base.loadUnaligned(fromByteOffset: place, as: UInt64.self)) ^ UInt64(state)
      state = tables[7 << 8 | Int(word & 0xFF)] ^ tables[6 << 8 | Int(word >> 8 & 0xFF)]
      state ^= tables[5 << 8 | Int(word >> 16 & 0xFF)] ^ tables[4 << 8 | Int(word >> 24 & 0xFF)]
      state ^= tables[3 << 8 | Int(word >> 32 & 0xFF)] ^ tables[2 << 8 | Int(word >> 40 & 0xFF)]
      state ^= tables[1 << 8 | Int(word >> 48 & 0xFF)] ^ tables[Int(word >> 56)]
      place &+= 8
    }
    while place < bytes.count {
      state = state >> 8 ^ tables[Int((state ^ UInt32(base.load(fromByteOffset: place, as: UInt8.self))) & 0xFF)]
      place &+= 1
    }
    self.state = state
  }
}
