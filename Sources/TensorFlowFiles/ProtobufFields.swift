/// Protobuf's wire format (protobuf.dev, "Encoding"), as far as TensorFlow's files need it: four small messages of a few fields. A library
/// and generated code would be a hundred times as much.
///
/// Reads a message's fields in their order. What is malformed ends in `isMalformed`, never beyond the bytes.
struct ProtobufFields {
  enum Value {
    /// Wire type 0.
    case varint(UInt64)
    /// Wire type 1.
    case fixed64(UInt64)
    /// Wire type 2.
    case bytes(UnsafeRawBufferPointer)
    /// Wire type 5.
    case fixed32(UInt32)
  }

  private var reader: ByteReader
  private(set) var isMalformed = false

  init(_ message: UnsafeRawBufferPointer) { reader = ByteReader(message) }

  /// The next field; nil at the end, or where the message is malformed.
  mutating func next() -> (field: Int, value: Value)? {
    if isMalformed || reader.isAtEnd { return nil }
    guard let key = reader.varint(), key >> 3 >= 1, key >> 3 < 1 << 29, let value = value(wireType: key & 7) else {
      isMalformed = true
      return nil
    }
    return (Int(key >> 3), value)
  }

  private mutating func value(wireType: UInt64) -> Value? {
    switch wireType {
    case 0: reader.varint().map { .varint($0) }
    case 1: reader.fixed(UInt64.self).map { .fixed64($0) }
    case 2: reader.size().flatMap { reader.take($0) }.map { .bytes($0) }
    case 5: reader.fixed(UInt32.self).map { .fixed32($0) }
    // 3 and 4 are groups, which no message of TensorFlow has.
    default: nil
    }
  }
}

/// A message under construction.
package struct ProtobufMessage {
  package private(set) var bytes: [UInt8] = []

  package init() {}

  package mutating func add(_ field: UInt64, varint value: UInt64) {
    bytes.append(varint: field << 3)
    bytes.append(varint: value)
  }

  package mutating func add(_ field: UInt64, fixed32 value: UInt32) {
    bytes.append(varint: field << 3 | 5)
    bytes.append(fixed: value)
  }

  package mutating func add(_ field: UInt64, fixed64 value: UInt64) {
    bytes.append(varint: field << 3 | 1)
    bytes.append(fixed: value)
  }

  package mutating func add(_ field: UInt64, _ value: some Collection<UInt8>) {
    bytes.append(varint: field << 3 | 2)
    bytes.append(varint: UInt64(value.count))
    bytes.append(contentsOf: value)
  }
}
