/// Numbers whose float32 sum depends on the order of the additions: signs at random, sizes over 32 powers of two.
///
/// A pure function of what they are for and of the element, so any rank can make any other's.
package enum OrderTest {
  package static func value(stream: Int, element: Int) -> Float {
    // SplitMix64 of a counter; the streams start far apart.
    var bits = UInt64(truncatingIfNeeded: element) &+ UInt64(truncatingIfNeeded: stream) &* 0xD134_2543_DE82_EF95
    bits = (bits &+ 1) &* 0x9E37_79B9_7F4A_7C15
    bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
    bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
    bits ^= bits >> 31
    let sign = UInt32(truncatingIfNeeded: bits >> 63) << 31
    let exponent = (127 - 16 + UInt32(truncatingIfNeeded: bits >> 32) & 31) << 23
    return Float(bitPattern: sign | exponent | UInt32(truncatingIfNeeded: bits) & 0x7F_FFFF)
  }

  package static func fill(_ values: UnsafeMutableBufferPointer<Float>, stream: Int, firstElement: Int = 0) {
    for i in 0..<values.count { values[i] = value(stream: stream, element: firstElement + i) }
  }
}
