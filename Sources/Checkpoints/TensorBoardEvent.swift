import TensorFlowFiles

/// An event of TensorBoard as its files hold it: the message `Event` of tensorflow/core/util/event.proto in a TFRecord.
///
/// Three fields of two small messages are all that is written, so they are encoded here: a protobuf library and generated code would
/// be many times as much. A test compares the bytes with those that TensorBoard itself writes.
package struct TensorBoardEvent {
  package enum Content {
    /// The first event of a file.
    case version
    /// The program has started (again): what earlier files say of this step and later ones does not hold.
    case start
    case scalars([(tag: String, value: Double)])
  }

  /// Seconds since 1970.
  var time: Double
  var step: Int
  var content: Content

  package init(time: Double, step: Int, content: Content) { (self.time, self.step, self.content) = (time, step, content) }

  /// Length, its checksum, the message, its checksum; numbers are little-endian.
  package var record: [UInt8] {
    let message = self.message
    let length = Self.bytes(UInt64(message.count))
    return length + Self.bytes(CRC32C.masked(of: length)) + message + Self.bytes(CRC32C.masked(of: message))
  }

  private var message: [UInt8] {
    var bytes = Self.key(1, wireType: 1) + Self.bytes(time.bitPattern)
    if step != 0 { bytes += Self.key(2, wireType: 0) + Self.variable(UInt64(step)) }
    switch content {
    case .version: bytes += Self.delimited(3, Array("brain.Event:2".utf8))
    // SessionLog.status = START.
    case .start: bytes += Self.delimited(7, Self.key(1, wireType: 0) + Self.variable(1))
    case .scalars(let scalars):
      // Summary.value, each with tag and simple_value, which is a float.
      bytes += Self.delimited(
        5,
        scalars.flatMap { scalar in
          Self.delimited(
            1, Self.delimited(1, Array(scalar.tag.utf8)) + Self.key(2, wireType: 5) + Self.bytes(Float(scalar.value).bitPattern))
        })
    }
    return bytes
  }

  // MARK: Protobuf's wire format

  private static func key(_ field: UInt64, wireType: UInt64) -> [UInt8] { variable(field << 3 | wireType) }

  private static func delimited(_ field: UInt64, _ bytes: [UInt8]) -> [UInt8] {
    key(field, wireType: 2) + variable(UInt64(bytes.count)) + bytes
  }

  /// Seven bits a byte, the lowest first.
  private static func variable(_ value: UInt64) -> [UInt8] {
    var (rest, bytes) = (value, [UInt8]())
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    return bytes + [UInt8(rest)]
  }

  private static func bytes(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
}
