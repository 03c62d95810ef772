import Communication
import SystemSupport
import Testing

/// What ranks send each other, byte by byte.
@Suite struct MessageTests {
  private struct Record: Communicable, Equatable {
    var name: String
    var sizes: [Int32]
    var inner: [[String?]]
    var isGood: Bool
    var table: [String: [Double]]

    init(name: String, sizes: [Int32], inner: [[String?]], isGood: Bool, table: [String: [Double]]) {
      (self.name, self.sizes, self.inner, self.isGood, self.table) = (name, sizes, inner, isGood, table)
    }

    func write(to message: inout MessageWriter) {
      message.write(name)
      message.write(sizes)
      message.write(inner)
      message.write(isGood)
      message.write(table)
    }

    init(from message: inout MessageReader) throws(ProgramFailure) {
      self.init(
        name: try message.read(), sizes: try message.read(), inner: try message.read(), isGood: try message.read(),
        table: try message.read())
    }
  }

  private let record = Record(
    name: "Käse\0 and more", sizes: [.min, 7, .max], inner: [[], ["", nil, "x"]], isGood: true,
    table: ["": [], "a": [.infinity, -0.1]])

  private func read<Value: Communicable>(_ bytes: [UInt8], as type: Value.Type) throws -> Value {
    try MessageReader.value(of: bytes)
  }

  @Test func whatIsWrittenIsRead() throws {
    #expect(try read(MessageWriter.bytes(of: record), as: Record.self) == record)
    #expect(try read(MessageWriter.bytes(of: ProgramExitCode.disk), as: ProgramExitCode.self) == .disk)
    let failures: [ProgramFailure?] = [ProgramFailure(.badData, "line 3"), nil]
    #expect(try read(MessageWriter.bytes(of: failures), as: [ProgramFailure?].self) == failures)
  }

  /// Bytes that are missing, left over or of no meaning end the run with a word, not with a crash.
  @Test func damageIsRefused() {
    let bytes = MessageWriter.bytes(of: record)
    let damage = CollectiveFailure(MessageReader.damage, reach: .thisRank)
    for count in bytes.indices {
      #expect(throws: damage) { try read(Array(bytes[..<count]), as: Record.self) }
    }
    #expect(throws: damage) { try read(bytes + [0], as: Record.self) }
    for number in [-1, Int.max, Int.max / 4 + 1, 1 << 40] {
      let count = MessageWriter.bytes(of: number)
      #expect(throws: damage) { try read(count, as: [Int32].self) }
      #expect(throws: damage) { try read(count, as: [UInt8].self) }
      #expect(throws: damage) { try read(count, as: [String].self) }
      #expect(throws: damage) { try read(count, as: [String: Int].self) }
    }
    #expect(throws: damage) { try read(MessageWriter.bytes(of: Int32(3)), as: ProgramExitCode.self) }
  }
}
