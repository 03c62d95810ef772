/// How a file is compressed or what kind of archive it is, told by its first bytes, whatever its name.
enum Packing: CaseIterable {
  case gzip, zstd, xz, bzip2, zip, tar

  var name: String { self == .zip || self == .tar ? "a \(self) archive" : "\(self)-compressed data" }

  /// Whether there are members to choose from.
  var isArchive: Bool { self == .zip || self == .tar }

  /// What unpacks a file F to G.
  var command: String {
    switch self {
    case .gzip: "gzip -dc F > G"
    case .zstd: "zstd -dc F > G"
    case .xz: "xz -dc F > G"
    case .bzip2: "bzip2 -dc F > G"
    case .zip: "unzip F"
    case .tar: "tar -xf F"
    }
  }

  private var magics: [[UInt8]] {
    switch self {
    case .gzip: [[0x1F, 0x8B]]
    case .zstd: [[0x28, 0xB5, 0x2F, 0xFD]]
    case .xz: [[0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00]]
    // The digit is the size of blocks; then pi for a block, or the root of pi where there is none.
    case .bzip2:
      (UInt8(ascii: "1")...UInt8(ascii: "9")).flatMap { size in
        [[0x31, 0x41, 0x59, 0x26, 0x53, 0x59], [0x17, 0x72, 0x45, 0x38, 0x50, 0x90]].map { Array("BZh".utf8) + [size] + $0 }
      }
    // A member, or the end of an archive that has none.
    case .zip: [Array("PK\u{3}\u{4}".utf8), Array("PK\u{5}\u{6}".utf8)]
    case .tar: []
    }
  }

  /// nil for what is not packed, or not in a way that is known.
  static func recognised(in bytes: UnsafeRawBufferPointer) -> Packing? {
    for packing in allCases where packing.magics.contains(where: { bytes.starts(with: $0) }) {
      // bzip2 begins with letters and digits, as an id may; but compressed data are no text.
      if packing != .bzip2 || !isText(bytes.prefix(1 << 16)) { return packing }
    }
    return isTar(bytes) ? .tar : nil
  }

  private static func isText(_ bytes: Slice<UnsafeRawBufferPointer>) -> Bool {
    bytes.allSatisfy { $0 >= 0x20 || $0 == 0x09 || $0 == 0x0A || $0 == 0x0D }
  }

  /// Whether the record stands there that ends a zip archive, with all of the comment that may follow.
  static func hasZipEnd(_ bytes: UnsafeRawBufferPointer) -> Bool {
    let (size, longestComment) = (22, 0xFFFF)
    var place = bytes.count - size
    let first = max(0, place - longestComment)
    while place >= first {
      if bytes[place...].starts(with: [0x50, 0x4B, 5, 6]) {
        let comment = UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: place + 20, as: UInt16.self))
        if place + size + Int(comment) <= bytes.count { return true }
      }
      place -= 1
    }
    return false
  }

  // MARK: tar

  private static let headerSize = 512
  private static let checksum = 148..<156

  /// Whether the first block is a header: its sum is right, and it has the zeros that no text has.
  private static func isTar(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard bytes.count >= headerSize, bytes[0] != 0 else { return false }
    let header = bytes[..<headerSize]
    guard header.contains(0) else { return false }
    var sum = 0
    for (place, byte) in header.enumerated() { sum += checksum.contains(place) ? 0x20 : Int(byte) }
    let digits = header[checksum].drop { $0 == 0x20 }.prefix { (0x30...0x37).contains($0) }
    return !digits.isEmpty && digits.reduce(0) { $0 * 8 + Int($1 - 0x30) } == sum
  }
}
