import SystemSupport

/// What can go from rank to rank. The two functions are each other's mirror image: what one writes the other reads, in one order.
package protocol Communicable {
  func write(to message: inout MessageWriter)

  /// Exit code 70 where the bytes are not what `write` makes.
  init(from message: inout MessageReader) throws(ProgramFailure)

  /// Elements of an array, without their number.
  static func write(_ elements: [Self], to message: inout MessageWriter)
  static func read(count: Int, from message: inout MessageReader) throws(ProgramFailure) -> [Self]
}

extension Communicable {
  package static func write(_ elements: [Self], to message: inout MessageWriter) {
    for element in elements { element.write(to: &message) }
  }

  package static func read(count: Int, from message: inout MessageReader) throws(ProgramFailure) -> [Self] {
    var elements: [Self] = []
    // No element is written as no bytes at all.
    elements.reserveCapacity(min(count, message.remainingCount))
    for _ in 0..<count { elements.append(try Self(from: &message)) }
    return elements
  }
}

/// A number, or a struct of numbers: its own bytes are what is sent (ranks run the same program on machines of one kind), and arrays of it
/// are copied at once. Not for what has invalid bit patterns, such as enums and Bool.
package protocol PlainValue: Communicable, BitwiseCopyable {}

extension PlainValue {
  @inlinable package func write(to message: inout MessageWriter) { message.append(bytesOf: self) }

  @inlinable package init(from message: inout MessageReader) throws(ProgramFailure) { self = try message.bytes(of: Self.self) }

  package static func write(_ elements: [Self], to message: inout MessageWriter) {
    elements.withUnsafeBytes { message.append($0) }
  }

  package static func read(count: Int, from message: inout MessageReader) throws(ProgramFailure) -> [Self] {
    try message.array(of: Self.self, count: count)
  }
}

extension Int: PlainValue {}
extension Int32: PlainValue {}
extension Int64: PlainValue {}
extension UInt8: PlainValue {}
extension UInt32: PlainValue {}
extension UInt64: PlainValue {}
extension Float: PlainValue {}
extension Double: PlainValue {}

/// An enum is sent as its raw value.
extension Communicable where Self: RawRepresentable, RawValue: Communicable {
  package func write(to message: inout MessageWriter) { rawValue.write(to: &message) }

  package init(from message: inout MessageReader) throws(ProgramFailure) {
    guard let value = Self(rawValue: try RawValue(from: &message)) else { throw MessageReader.damage }
    self = value
  }
}

extension Bool: Communicable {
  package func write(to message: inout MessageWriter) { message.write(UInt8(self ? 1 : 0)) }

  package init(from message: inout MessageReader) throws(ProgramFailure) { self = try message.read(UInt8.self) == 1 }
}

extension String: Communicable {
  package func write(to message: inout MessageWriter) {
    var text = self
    text.withUTF8 { utf8 in
      message.write(utf8.count)
      message.append(UnsafeRawBufferPointer(utf8))
    }
  }

  package init(from message: inout MessageReader) throws(ProgramFailure) {
    self.init(decoding: try message.read([UInt8].self), as: UTF8.self)
  }
}

extension Array: Communicable where Element: Communicable {
  package func write(to message: inout MessageWriter) {
    message.write(count)
    Element.write(self, to: &message)
  }

  package init(from message: inout MessageReader) throws(ProgramFailure) {
    let count = try message.read(Int.self)
    guard count >= 0 else { throw MessageReader.damage }
    self = try Element.read(count: count, from: &message)
  }
}

extension Optional: Communicable where Wrapped: Communicable {
  package func write(to message: inout MessageWriter) {
    message.write(self != nil)
    if let self { message.write(self) }
  }

  package init(from message: inout MessageReader) throws(ProgramFailure) {
    self = try message.read(Bool.self) ? try message.read(Wrapped.self) : nil
  }
}

extension Dictionary: Communicable where Key: Communicable, Value: Communicable {
  package func write(to message: inout MessageWriter) {
    message.write(count)
    for (key, value) in self {
      message.write(key)
      message.write(value)
    }
  }

  package init(from message: inout MessageReader) throws(ProgramFailure) {
    self.init()
    let count = try message.read(Int.self)
    guard count >= 0 else { throw MessageReader.damage }
    for _ in 0..<count {
      let key = try message.read(Key.self)
      self[key] = try message.read(Value.self)
    }
  }
}
