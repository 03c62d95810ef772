import SystemSupport

/// Gathers the bytes of what is sent to other ranks.
package struct MessageWriter {
  package private(set) var bytes: [UInt8] = []

  init() {}

  package mutating func write<Value: Communicable>(_ value: Value) { value.write(to: &self) }

  package mutating func append(_ raw: UnsafeRawBufferPointer) { bytes.append(contentsOf: raw) }

  @inlinable
  mutating func append<Value: BitwiseCopyable>(bytesOf value: Value) { withUnsafeBytes(of: value) { append($0) } }

  /// The bytes of one value.
  package static func bytes<Value: Communicable>(of value: Value) -> [UInt8] {
    var message = MessageWriter()
    message.write(value)
    return message.bytes
  }
}

/// Reads what another rank has written.
package struct MessageReader {
  @usableFromInline let bytes: [UInt8]
  @usableFromInline var place = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// What every reader throws where bytes are missing, left over or of no meaning. Ranks run one program, so it is none of their doing.
  package static let damage = ProgramFailure(
    .internalFault,
    "a message from another rank is damaged: a memory or the network is failing; run the same command again")

  /// Bytes that have not been read.
  package var remainingCount: Int { bytes.count - place }

  package mutating func read<Value: Communicable>(_ type: Value.Type = Value.self) throws(ProgramFailure) -> Value {
    try Value(from: &self)
  }

  @inlinable
  mutating func bytes<Value: BitwiseCopyable>(of type: Value.Type) throws(ProgramFailure) -> Value {
    let size = MemoryLayout<Value>.size
    guard bytes.count - place >= size else { throw Self.damage }
    defer { place += size }
    return bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: place, as: type) }
  }

  mutating func array<Value: BitwiseCopyable>(of type: Value.Type, count: Int) throws(ProgramFailure) -> [Value] {
    let (size, overflows) = count.multipliedReportingOverflow(by: MemoryLayout<Value>.stride)
    guard !overflows, size <= remainingCount else { throw Self.damage }
    defer { place += size }
    return [Value](unsafeUninitializedCapacity: count) { elements, initializedCount in
      UnsafeMutableRawBufferPointer(elements).copyBytes(from: bytes[place..<place + size])
      initializedCount = count
    }
  }

  /// The one value that a message holds.
  package static func value<Value: Communicable>(of bytes: [UInt8]) throws(CollectiveFailure) -> Value {
    do throws(ProgramFailure) {
      var message = MessageReader(bytes)
      let value = try message.read(Value.self)
      guard message.remainingCount == 0 else { throw damage }
      return value
    } catch { throw CollectiveFailure(error, reach: .thisRank) }
  }
}
