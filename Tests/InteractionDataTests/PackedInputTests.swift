import Foundation
import InteractionData
import SystemSupport
import TestSupport
import Testing

/// Compressed files and archives are read as what is in them.
@Suite struct PackedInputTests {
  /// Rows of a table, more than one block of any decompressor.
  private static func table(_ rows: Int, part: Int = 0) -> String {
    "user_id,item_id,timestamp\n"
      + (0..<rows).map { "u\($0 % 97 + 1000 * part),i\($0 * 7919 % 613),\(1_500_000_000 + $0 * 37 % 90_001)\n" }.joined()
  }

  @Test(arguments: Packer.all.filter(\.isThere)) func isReadAsWhatIsInIt(_ packer: Packer) throws {
    let scratch = try Scratch()
    let plain = try load(scratch.write(Self.table(9000), "shop.csv"))
    let packed = try packer.pack("shop.csv", in: scratch.folder)
    let loaded = try load(scratch.path(packed))
    #expect(loaded.dataset.fingerprint == plain.dataset.fingerprint)
    #expect(loaded.dataset.name == "shop" && loaded.statistics.interactions == 9000)
    let first = try #require(loaded.log.first)
    #expect(first.hasPrefix(scratch.path(packed)) && first.contains(", unpacked from "), "\(first)")

    // The contents say what it is, not the name.
    try FileManager.default.moveItem(atPath: scratch.path(packed), toPath: scratch.path("log.txt"))
    #expect(try load(scratch.path("log.txt")).dataset.fingerprint == plain.dataset.fingerprint)
  }

  @Test func whatIsMissingHere() {
    for packer in Packer.all where !packer.isThere { print("\(packer): skipped, its programs are not on this machine") }
    let there = Packer.all.filter(\.isThere)
    #expect(!there.isEmpty)
  }

  /// Wherever it is cut: never part of the data.
  @Test(arguments: Packer.all.filter(\.isThere)) func whatIsCutOffIsRefused(_ packer: Packer) throws {
    let scratch = try Scratch()
    try scratch.write(Self.table(3000), "shop.csv")
    let whole = try scratch.read(packer.pack("shop.csv", in: scratch.folder))
    // tar pads with zeros that nobody misses, up to its two last blocks.
    let needed = (whole.lastIndex { $0 != 0 } ?? 0) + 1
    for cut in [needed - 1, needed - 9, needed * 9 / 10, needed / 2, needed / 3, 600, 40].sorted() where cut < needed {
      let path = try scratch.write(Array(whole[..<cut]), "cut")
      let failure = failure { try load(path) }
      #expect(failure.exitCode == .badData && failure.message.contains(path), "\(packer) at \(cut): \(failure.message)")
    }
  }

  /// One bit in each of many places: refused, or read as it was, where the bit is a name's or a date's.
  @Test(arguments: Packer.all.filter { $0.isThere && !["tar", "stored zip"].contains($0.description) })
  func whatIsDamagedIsRefused(_ packer: Packer) throws {
    let scratch = try Scratch()
    let plain = try load(scratch.write(Self.table(3000), "shop.csv")).dataset.fingerprint
    let whole = try scratch.read(packer.pack("shop.csv", in: scratch.folder))
    var refused = 0
    let places = stride(from: 3, to: whole.count, by: max(1, whole.count / 60))
    for place in places {
      var damaged = whole
      damaged[place] ^= 1 << UInt8(place % 8)
      let path = try scratch.write(damaged, "damaged")
      do {
        #expect(try load(path).dataset.fingerprint == plain, "\(packer) at \(place)")
      } catch let failure as ProgramFailure {
        refused += 1
        #expect(failure.exitCode == .badData && failure.message.contains(path), "\(packer) at \(place): \(failure.message)")
      }
    }
    #expect(refused > 40, "\(packer): \(refused) of \(Array(places).count) are refused")
  }

  /// gzip's checksum, which libarchive passes over: stored blocks hold what they hold.
  @Test func aWrongSumIsNoticed() throws {
    let scratch = try Scratch()
    try scratch.write("a b\na c\nb c\n", "pairs.txt")
    var bytes: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 1, 12, 0, 0xF3, 0xFF] + Array("a b\na c\nb c\n".utf8)
    let (sum, size) = (plainCRC(Array("a b\na c\nb c\n".utf8)), UInt32(12))
    for number in [sum, size] { bytes += (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) } }
    #expect(try load(scratch.write(bytes, "good")).statistics.interactions == 3)
    var other = bytes
    other[15] = UInt8(ascii: "x")
    #expect(failure { try load(scratch.write(other, "bad")) }.message.contains("its checksum is another"))
    #expect(failure { try load(scratch.write(bytes + Array("more".utf8), "more")) }.message.contains("4 bytes behind its end"))
    #expect(try load(scratch.write(bytes + [UInt8](repeating: 0, count: 600), "zeros")).statistics.interactions == 3)
    // Many short members, in one block of what comes out.
    #expect(try load(scratch.write([[UInt8]](repeating: bytes, count: 50).flatMap { $0 }, "many")).statistics.interactions == 150)
    other = bytes + other + bytes
    #expect(failure { try load(scratch.write(other, "one of three")) }.exitCode == .badData)
  }

  @Test func severalPackedFilesAreOneDataSet() throws {
    let scratch = try Scratch()
    let packer = try #require(Packer.streams.first)
    // Larger than what is unpacked to look at a file.
    for part in 0..<3 { try scratch.write(Self.table(part == 1 ? 240_000 : 500, part: part), "part-\(part).csv") }
    let plain = try load(scratch.path("part-*.csv"))
    for part in 0..<2 { _ = try packer.pack("part-\(part).csv", in: scratch.folder, to: "packed-\(part)") }
    try FileManager.default.copyItem(atPath: scratch.path("part-2.csv"), toPath: scratch.path("packed-2"))
    let packed = try load(scratch.path("packed-*"))
    #expect(packed.dataset.fingerprint == plain.dataset.fingerprint && packed.statistics.interactions == 241_000)
  }

  /// Lines that are longer than what is unpacked to look at a file.
  @Test func longLinesAreSeenWhole() throws {
    let scratch = try Scratch()
    let packer = try #require(Packer.streams.first)
    let items = (0..<700_000).map { "\"i\($0 % 5000)\"" }.joined(separator: ",")
    let text = "{\"user\": \"a\", \"items\": [\(items)]}\n{\"user\": \"b\", \"items\": [\"i1\", \"i2\"]}\n"
    #expect(text.utf8.count > 5 << 20)
    let plain = try load(scratch.write(text, "x.json"))
    let path = scratch.path(try packer.pack("x.json", in: scratch.folder))
    let both = try load(path, scratch.write("{\"user\": \"c\", \"items\": [\"i1\"]}\n", "y.json"))
    #expect(both.statistics.interactions == plain.statistics.interactions + 1 && both.statistics.users == 3)
  }

  @Test func emptyOnes() throws {
    let scratch = try Scratch()
    for packer in Packer.streams.dropLast() where packer.isThere {
      try scratch.write("", "nothing.csv")
      let failure = failure { try load(scratch.path(packer.pack("nothing.csv", in: scratch.folder))) }
      #expect(failure.exitCode == .badData && failure.message.contains("empty"), "\(packer): \(failure.message)")
    }
  }

  /// An id may begin as bzip2's data do.
  @Test func textStaysText() throws {
    #expect(try load(text: "BZh91AY&SY i\nBZh91AY&SY j\n").histories == histories("BZh91AY&SY: i j"))
  }

  /// Ids with which a file of pairs would begin as gzip does.
  @Test func pairsThatWouldBePackedAreNotWritten() throws {
    let scratch = try Scratch()
    let id: [UInt8] = [0x1F, 0x8B]
    let loaded = try load(scratch.write(Array("user_id,item_id\n".utf8) + id + Array(",i\n".utf8) + id + Array(",j\n".utf8)))
    let failure = failure { try PairsFile.write(loaded.dataset, to: scratch.path("pairs.txt")) }
    #expect(failure.exitCode == .badData && failure.message.contains("could not be read back"), "\(failure.message)")
    #expect(try scratch.names() == ["data.txt"])
  }
}
