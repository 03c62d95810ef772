/// gzip's checksum (CRC-32, RFC 1952) bit by bit, as the standard has it: the twin of what the program computes by tables.
package func plainCRC(_ bytes: [UInt8]) -> UInt32 {
  var sum = ~UInt32(0)
  for byte in bytes {
    sum ^= UInt32(byte)
    for _ in 0..<8 { sum = sum & 1 == 1 ? sum >> 1 ^ 0xEDB8_8320 : sum >> 1 }
  }
  return ~sum
}
