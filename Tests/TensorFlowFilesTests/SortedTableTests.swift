import SystemSupport
import TensorFlowFiles
import Testing

@Suite struct SortedTableTests {
  /// RFC 3720, appendix B.4, and what its successors give for the digits 1 to 9.
  @Test func checksums() {
    func checksum(_ bytes: [UInt8]) -> UInt32 { bytes.withUnsafeBytes { CRC32C.checksum($0) } }
    #expect(checksum(Array("123456789".utf8)) == 0xE306_9283)
    #expect(checksum([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
    #expect(checksum([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
    #expect(checksum(Array(0..<32)) == 0x46DD_794E)
    #expect(checksum([]) == 0)
    let bytes = (0..<100).map { UInt8($0 * 7 % 251) }
    for cut in [0, 1, 7, 8, 13, 99, 100] {
      let first = checksum(Array(bytes[..<cut]))
      #expect(Array(bytes[cut...]).withUnsafeBytes { CRC32C.checksum($0, after: first) } == checksum(bytes))
    }
    // LevelDB's crc32c_test: a mask is another value, and a mask of a mask, too.
    #expect(Set([checksum(bytes), CRC32C.masked(of: bytes), CRC32C.masked(CRC32C.masked(of: bytes))]).count == 3)
  }

  private func entries(_ file: [UInt8]) throws -> [(key: [UInt8], value: [UInt8])] {
    try file.withUnsafeBytes { try SortedTable.read($0, path: "a.index").map { ($0.key, Array($0.value)) } }
  }

  @Test(arguments: [0, 1, 16, 17, 12_345]) func readAsWritten(count: Int) throws {
    // More than one block, since a block has 256 KiB.
    let written = (0..<count).map { number in
      (key: Array("layer_\(String(100_000 + number))/kernel".utf8), value: [UInt8](repeating: UInt8(number & 0xFF), count: number % 90))
    }
    let read = try entries(SortedTable.file(written))
    #expect(read.map(\.key) == written.map(\.key) && read.map(\.value) == written.map(\.value))
  }

  /// Every byte decides something, but the unused ones of the end and an empty block (13 bytes), which nobody reads.
  static let unused = SortedTable.footerLength - 8 + 13

  @Test func everyDamagedByteIsNoticed() throws {
    let written = (0..<40).map { (key: Array("name\($0 + 10)".utf8), value: Array("value \($0)".utf8)) }
    let file = SortedTable.file(written)
    var unnoticed = 0
    for place in file.indices {
      var damaged = file
      damaged[place] ^= 0x41
      do {
        let read = try entries(damaged)
        #expect(read.map(\.value) == written.map(\.value))
        unnoticed += 1
      } catch let failure as ProgramFailure {
        #expect(failure.exitCode == .badData && failure.message.contains("a.index"))
      }
    }
    #expect(unnoticed < Self.unused)
    for length in 0..<file.count {
      #expect(throws: ProgramFailure.self) { try entries(Array(file[..<length])) }
    }
  }

  /// A block of one long key and many short ones takes no more memory than they need.
  @Test func shortKeysBehindALongOneAreShort() throws {
    let long = (key: Array("a".utf8) + [UInt8](repeating: 0x62, count: 200_000), value: [1] as [UInt8])
    let short = (0..<9000).map { (key: Array("b\($0 + 10_000)".utf8), value: [2] as [UInt8]) }
    let read = try entries(SortedTable.file([long] + short))
    #expect(read.map(\.key) == [long.key] + short.map(\.key))
    #expect(read.dropFirst().allSatisfy { $0.key.capacity < 100 })
  }

  private func varint(_ value: Int) -> [UInt8] { value < 0x80 ? [UInt8(value)] : [UInt8(value & 0x7F | 0x80)] + varint(value >> 7) }

  /// Numbers that would lead outside of the file, with right checksums.
  @Test func placesOutsideAreRefused() throws {
    for (offset, size) in [(1 << 40, 4), (0, 1 << 40), (Int.max, Int.max), (60, 8)] {
      var file = SortedTable.file([(key: [1], value: [2])])
      let start = file.count - SortedTable.footerLength
      var handles: [UInt8] = []
      for number in [0, 8, offset, size] { handles += varint(number) }
      file.replaceSubrange(start..<(start + handles.count), with: handles)
      #expect(throws: ProgramFailure.self) { try entries(file) }
    }
  }
}
