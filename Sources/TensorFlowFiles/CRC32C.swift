/// The checksum of TensorFlow's files: CRC-32C (Castagnoli; RFC 3720, appendix B.4), bit-reversed polynomial 0x82F63B78.
package enum CRC32C {
  /// `tables[k][b]`: what a byte b that stands k bytes before the end of a group of eight adds.
  private static let tables: [UInt32] = {
    var tables = [UInt32](repeating: 0, count: 8 * 256)
    for byte in 0..<256 {
      tables[byte] = (0..<8).reduce(UInt32(byte)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0x82F6_3B78 : value >> 1 }
    }
    for index in 256..<tables.count {
      let before = tables[index - 256]
      tables[index] = before >> 8 ^ tables[Int(before & 0xFF)]
    }
    return tables
  }()

  /// - Parameter previous: the checksum of the bytes before these.
  package static func checksum(_ bytes: UnsafeRawBufferPointer, after previous: UInt32 = 0) -> UInt32 {
    var value = ~previous
    tables.withUnsafeBufferPointer { tables in
      var place = 0
      while place + 8 <= bytes.count {
        let group = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self)) ^ UInt64(value)
        value = 0
        for byte in 0..<8 { value ^= tables[(7 - byte) * 256 + Int(truncatingIfNeeded: group >> (8 * byte) & 0xFF)] }
        place += 8
      }
      while place < bytes.count {
        value = value >> 8 ^ tables[Int((value ^ UInt32(bytes[place])) & 0xFF)]
        place += 1
      }
    }
    return ~value
  }

  /// As files store it, since a checksum of data that hold checksums would be weak (TensorFlow, core/lib/hash/crc32c.h).
  package static func masked(_ checksum: UInt32) -> UInt32 { (checksum >> 15 | checksum << 17) &+ 0xA282_EAD8 }

  package static func masked(of bytes: UnsafeRawBufferPointer) -> UInt32 { masked(checksum(bytes)) }

  package static func masked(of bytes: [UInt8]) -> UInt32 { bytes.withUnsafeBytes { masked(of: $0) } }
}
