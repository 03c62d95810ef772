import Foundation
import SystemSupport
import TensorFlowFiles
import TestSupport
import Testing

@Suite struct RecordFileTests {
  private let folder: TemporaryFolder
  private var path: String { folder.path + "/x.tfrecord" }

  init() throws { folder = try TemporaryFolder() }

  private func write(_ records: [[UInt8]]) throws {
    let writer = try RecordWriter(path)
    for record in records { try writer.append(record) }
    try writer.finish()
  }

  private func read() throws(ProgramFailure) -> [[UInt8]] {
    var reader = try RecordReader(path)
    var records: [[UInt8]] = []
    while let record = try reader.next() { records.append(Array(record)) }
    return records
  }

  @Test func readAsWritten() throws {
    // The middle one is larger than the writer's room.
    let records = [[], [1], [UInt8](repeating: 7, count: 1_500_000), Array("abc".utf8)] as [[UInt8]]
    try write(records)
    #expect(try read() == records)
    #expect(try FileSystem.read(path).count == records.reduce(0) { $0 + $1.count + 16 })
    try write([])
    #expect(try read() == [])
  }

  /// With the file, the record's number and the byte where it begins.
  @Test func everyDamagedByteIsNoticed() throws {
    let records = [Array("first".utf8), Array("the second".utf8), Array("3".utf8)]
    try write(records)
    let good = try FileSystem.read(path)
    let starts = [0, 21, 47]
    #expect(good.count == 64)
    for place in good.indices {
      let number = starts.lastIndex { $0 <= place } ?? 0
      let title = "record \(number + 1) at byte \(starts[number])"
      var damaged = good
      damaged[place] ^= 0x20
      for (bytes, words) in [(damaged, title), (Array(good[..<place]), title + " is cut short")] {
        try FileSystem.writeDurably(path, bytes)
        do {
          let found = try read()
          #expect(bytes.count < good.count && starts.contains(bytes.count) && found == Array(records[..<number]))
        } catch {
          #expect(error.exitCode == .badData && error.message.hasPrefix("\(path): \(words)"), "\(error)")
        }
      }
    }
  }

  @Test func packedFilesAreNamed() throws {
    try FileSystem.writeDurably(path, [0x1F, 0x8B] + [UInt8](repeating: 3, count: 40))
    do {
      _ = try read()
      Issue.record("nothing failed")
    } catch { #expect(error.message.contains("compressed by gzip"), "\(error)") }
  }

  /// Three records that TensorFlow has written (Tests/Reference/check_tensorflow.py).
  @Test func asTensorFlowWritesThem() throws {
    let fixture = try #require(Bundle.module.url(forResource: "Fixtures/instances", withExtension: "tfrecord")).path
    try FileSystem.writeDurably(path, try FileSystem.read(fixture))
    var example = InstanceExample()
    let records = try read()
    #expect(records.count == 3)
    for (number, record) in records.enumerated() {
      let problem = record.withUnsafeBytes { example.read($0) }
      #expect(problem == nil)
      let number = Int64(number)
      #expect(example.info == [number == 2 ? -1 : 1 << 40 + number])
      #expect(example.inputIDs == (0..<6).map { number * 37 + $0 * 1001 })
      #expect(example.inputMask == (0..<6).map { $0 < number + 3 ? 1 : 0 })
      #expect(example.maskedPositions == (0..<3).map { $0 * 2 } && example.maskedIDs == (0..<3).map { $0 * 300 + number })
      #expect(example.maskedWeights == [1, Float(number) / 2, 0])
      // TensorFlow may order the features otherwise, so the messages' bytes may differ.
      var again = InstanceExample()
      #expect(example.message.withUnsafeBytes { again.read($0) } == nil && again == example)
      #expect(example.message.count == record.count)
    }
  }
}

@Suite struct InstanceExampleTests {
  private static var example: InstanceExample {
    var example = InstanceExample()
    example.info = [5]
    example.inputIDs = [3, 9, 300, 0]
    example.inputMask = [1, 1, 1, 0]
    example.maskedPositions = [1, 0]
    example.maskedIDs = [.max, .min]
    example.maskedWeights = [1, 0]
    return example
  }

  private func read(_ message: [UInt8]) -> (example: InstanceExample, problem: String?) {
    var example = Self.example
    let problem = message.withUnsafeBytes { example.read($0) }
    return (example, problem)
  }

  @Test func readAsWritten() {
    let (example, problem) = read(Self.example.message)
    #expect(problem == nil && example == Self.example)
  }

  /// Lists may be written number by number, and features that nobody knows stand between.
  @Test func otherWriters() {
    var (list, feature, entry, features) = (ProtobufMessage(), ProtobufMessage(), ProtobufMessage(), ProtobufMessage())
    for number in [3, 9, 300, 0] as [UInt64] { list.add(1, varint: number) }
    feature.add(3, list.bytes)
    entry.add(2, feature.bytes)
    entry.add(1, Array("input_ids".utf8))
    features.add(1, entry.bytes)
    let plain = Self.example.message
    var message = ProtobufMessage()
    message.add(1, features.bytes)
    // Merged messages are one after the other, and the second has the same feature again.
    #expect(read(plain + message.bytes).problem == "the feature \"input_ids\" twice")
    #expect(read(message.bytes).problem == "no feature \"info\"" && read(message.bytes).example.inputIDs == [3, 9, 300, 0])
    #expect(read([]).problem == "no feature \"info\"")
  }

  @Test func damageIsNoticedOrChangesNumbers() {
    let good = Self.example.message
    var refused = 0
    for place in good.indices {
      for bit in 0..<8 {
        var damaged = good
        damaged[place] ^= 1 << bit
        if read(damaged).problem != nil { refused += 1 }
      }
      #expect(read(Array(good[..<place])).problem != nil)
    }
    #expect(refused > good.count)
  }
}

@Suite struct PickleWriterTests {
  /// What Python's pickletools.dis says of these bytes: {"a": [1, -2], "b": 2 ** 40}.
  @Test func bytes() {
    var pickle = PickleWriter()
    pickle.dictionary {
      $0.add("a")
      $0.list {
        $0.add(1)
        $0.add(-2)
      }
      $0.add("b")
      $0.add(1 << 40)
    }
    let wanted: [UInt8] =
      [0x80, 2, 0x7D, 0x28, 0x58, 1, 0, 0, 0, 0x61, 0x5D, 0x28, 0x4A, 1, 0, 0, 0, 0x4A, 0xFE, 0xFF, 0xFF, 0xFF, 0x65]
      + [0x58, 1, 0, 0, 0, 0x62, 0x8A, 8, 0, 0, 0, 0, 0, 1, 0, 0, 0x75, 0x2E]
    #expect(pickle.finish() == wanted)
  }
}
