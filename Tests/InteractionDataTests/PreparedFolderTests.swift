import Foundation
import InteractionData
import SystemSupport
import Testing

@Suite struct PreparedFolderTests {
  /// Ids with everything that the files escape.
  static func sample(_ scratch: Scratch, name: String = "sample.csv") throws -> LoadedDataset {
    let text =
      "user,item,time\n\"a\tb\",\"x\\y\",5\n\"a\tb\",\"new\nline\",3\nplain,\"x\\y\",1\nplain,i j,1\nplain,\"cr\r\",1\n"
    return try DatasetLoader.load([scratch.write(text, name)]) { _ in }
  }

  @Test func roundTrip() throws {
    let scratch = try Scratch()
    let loaded = try Self.sample(scratch)
    try PreparedFolder.write(loaded, to: scratch.path("made/here/set"))
    #expect(PreparedFolder.isPreparedFolder(scratch.path("made/here/set")))
    let opened = try load(scratch.path("made/here/set"))
    #expect(opened.statistics == loaded.statistics)
    #expect(opened.histories == loaded.dataset.histories)
    #expect(opened.dataset.itemIDs == loaded.dataset.itemIDs && opened.dataset.userIDs == loaded.dataset.userIDs)
    #expect(opened.dataset.itemCounts == loaded.dataset.itemCounts)
    #expect(opened.dataset.fingerprint == loaded.dataset.fingerprint && opened.dataset.name == "sample")
    #expect(opened.statistics.usersEndingOnTie == 1)
    let files = try FileManager.default.contentsOfDirectory(atPath: scratch.path("made/here/set")).sorted()
    #expect(files == ["items.tsv", "manifest.json", "sequences.bin", "users.tsv"])
    let items = String(decoding: try scratch.read("made/here/set/items.tsv"), as: UTF8.self)
    #expect(items == "id\texternal_id\tcount\n1\tx\\\\y\t2\n2\tnew\\nline\t1\n3\ti j\t1\n4\tcr\\r\t1\n")
    let users = String(decoding: try scratch.read("made/here/set/users.tsv"), as: UTF8.self)
    #expect(users == "index\texternal_id\n0\ta\\tb\n1\tplain\n")
    let sequences = try scratch.read("made/here/set/sequences.bin")
    #expect(sequences.count == 64 + 3 * 8 + 5 * 4)
    #expect(sequences.suffix(20).elementsEqual([2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0]))
  }

  @Test func fingerprintTellsDataApart() throws {
    func fingerprint(_ text: String, _ name: String = "f.txt") throws -> String {
      try load(try Scratch().write(text, name)).dataset.fingerprint
    }
    let base = try fingerprint("u a\nu b\nv a\n")
    #expect(base.count == 64)
    #expect(try base == fingerprint("u,a\nu,b\nv,a\n", "other.csv"))
    for other in ["u a\nu b\nv b\n", "u b\nu a\nv a\n", "u a\nu b\nw a\n", "u a\nu bb\nv a\n", "u a\nu b\nv a\nv a\n"] {
      #expect(try fingerprint(other) != base, "\(other)")
    }
  }

  @Test func replacesOnlyItsOwn() throws {
    let scratch = try Scratch()
    let first = try Self.sample(scratch)
    let target = scratch.path("set")
    try PreparedFolder.write(first, to: target)
    let second = try DatasetLoader.load([scratch.write("u i\n", "second.txt")]) { _ in }
    try PreparedFolder.write(second, to: target + "/")
    #expect(try PreparedFolder.open(target).dataset.name == "second")

    // A folder of someone else, a file, and a data set to which someone added a file, stay as they are.
    try FileManager.default.createDirectory(atPath: scratch.path("other"), withIntermediateDirectories: true)
    try scratch.write("keep", "other/thesis.txt")
    #expect(failure { try PreparedFolder.write(first, to: scratch.path("other")) }.exitCode == .usage)
    try scratch.write("keep", "file")
    #expect(failure { try PreparedFolder.write(first, to: scratch.path("file")) }.exitCode == .usage)
    try scratch.write("mine", "set/notes.txt")
    let refused = failure { try PreparedFolder.write(first, to: target) }
    #expect(refused.exitCode == .usage && refused.message.contains("notes.txt"))
    #expect(try PreparedFolder.open(target).dataset.name == "second")
    #expect(failure { try PreparedFolder.write(first, to: "") }.exitCode == .usage)
    #expect(try scratch.names() == ["file", "other", "sample.csv", "second.txt", "set"])
  }

  @Test func aLinkStaysALink() throws {
    let scratch = try Scratch()
    let loaded = try Self.sample(scratch)
    try PreparedFolder.write(loaded, to: scratch.path("real"))
    try FileManager.default.createSymbolicLink(atPath: scratch.path("link"), withDestinationPath: "real")
    try PreparedFolder.write(loaded, to: scratch.path("link"))
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: scratch.path("link")) == "real")
    #expect(try scratch.names() == ["link", "real", "sample.csv"])
  }

  @Test func everyFlippedByteIsNoticed() throws {
    let scratch = try Scratch()
    try PreparedFolder.write(Self.sample(scratch), to: scratch.path("set"))
    for name in ["items.tsv", "users.tsv", "sequences.bin"] {
      let bytes = try scratch.read("set/" + name)
      for place in stride(from: 0, to: bytes.count, by: 3) {
        var damaged = bytes
        damaged[place] ^= 1
        try scratch.write(damaged, "set/" + name)
        #expect(failure { try PreparedFolder.open(scratch.path("set")) }.exitCode == .badData, "\(name) \(place)")
      }
      try scratch.write(Array(bytes.dropLast()), "set/" + name)
      #expect(failure { try PreparedFolder.open(scratch.path("set")) }.exitCode == .badData)
      try scratch.write(bytes, "set/" + name)
    }
    #expect(throws: Never.self) { try PreparedFolder.open(scratch.path("set")) }
    try FileManager.default.removeItem(atPath: scratch.path("set/users.tsv"))
    #expect(failure { try PreparedFolder.open(scratch.path("set")) }.exitCode == .unreadable)
  }

  /// Files that are wrong while their checksums are right: whoever can write one can write the other.
  @Test(arguments: [
    (8, [UInt8(2)]), (16, [9]), (16, [255, 255, 255, 255, 255, 255, 255, 127]), (24, [0, 0, 0, 0, 1]), (32, [3]),
    (64, [1]), (72, [200]), (80, [4]), (88, [0]), (88, [9]), (88, [1, 0, 0, 128]), (92, [2]),
  ])
  func wrongSequences(_ place: Int, _ bytes: [UInt8]) throws {
    let scratch = try Scratch()
    try PreparedFolder.write(Self.sample(scratch), to: scratch.path("set"))
    var sequences = try scratch.read("set/sequences.bin")
    let old = sha256Hex(sequences)
    sequences.replaceSubrange(place..<place + bytes.count, with: bytes)
    try scratch.write(sequences, "set/sequences.bin")
    let manifest = String(decoding: try scratch.read("set/manifest.json"), as: UTF8.self)
    try scratch.write(manifest.replacingOccurrences(of: old, with: sha256Hex(sequences)), "set/manifest.json")
    #expect(failure { try PreparedFolder.open(scratch.path("set")) }.exitCode == .badData)
  }

  @Test(arguments: [
    ("\"format_version\": 1", "\"format_version\": 2", "format version 2"),
    ("\"name\": \"sample\"", "\"name\": \"../sample\"", "no data set's name"),
    ("\"fingerprint\": \"", "\"fingerprint\": \"0", "do not fit"), ("\"users\": 2", "\"users\": 3", "do not fit"),
    ("\"statistics\"", "\"statistic\"", "manifest"),
  ])
  func wrongManifest(_ old: String, _ new: String, _ said: String) throws {
    let scratch = try Scratch()
    try PreparedFolder.write(Self.sample(scratch), to: scratch.path("set"))
    let manifest = String(decoding: try scratch.read("set/manifest.json"), as: UTF8.self)
    #expect(manifest.contains(old))
    try scratch.write(manifest.replacingOccurrences(of: old, with: new), "set/manifest.json")
    let failure = failure { try load(scratch.path("set")) }
    #expect(failure.exitCode == .badData && failure.message.contains(said), "\(failure.message)")
  }

  /// A manifest that is there but damaged is not said to be absent.
  @Test(arguments: ["", "{}", "{\"format\": \"something else\", \"format_version\": 1}", String(repeating: " ", count: 1 << 21)])
  func notAManifest(text: String) throws {
    let scratch = try Scratch()
    try PreparedFolder.write(Self.sample(scratch), to: scratch.path("set"))
    try scratch.write(text, "set/manifest.json")
    let failure = failure { try load(scratch.path("set")) }
    #expect(failure.exitCode == .badData)
    #expect(failure.message.hasPrefix(scratch.path("set/manifest.json") + " is not the manifest"), "\(failure.message)")
  }

  @Test func aPipeInThePlaceOfTheManifest() throws {
    let scratch = try Scratch()
    #expect(mkfifo(scratch.path("manifest.json"), 0o600) == 0)
    let failure = failure { try load(scratch.folder) }
    #expect(failure.exitCode == .badData && failure.message.contains("manifest.json is not the manifest"))
  }

  /// Nobody writes to the pipe.
  @Test(arguments: ["items.tsv", "users.tsv", "sequences.bin"]) func aPipeInThePlaceOfAFile(name: String) throws {
    let scratch = try Scratch()
    try PreparedFolder.write(Self.sample(scratch), to: scratch.path("set"))
    try FileManager.default.removeItem(atPath: scratch.path("set/" + name))
    #expect(mkfifo(scratch.path("set/" + name), 0o600) == 0)
    let failure = failure { try load(scratch.path("set")) }
    #expect(failure.exitCode == .unreadable && failure.message.contains("set/\(name), which is no regular file"))
  }

  /// Earlier programs wrote other spaces and another order, and counted less.
  @Test func aManifestOfAnEarlierProgram() throws {
    let scratch = try Scratch()
    let loaded = try Self.sample(scratch)
    try PreparedFolder.write(loaded, to: scratch.path("set"))
    let manifest = String(decoding: try scratch.read("set/manifest.json"), as: UTF8.self)
    let object = try #require(JSONSerialization.jsonObject(with: Data(manifest.utf8)) as? [String: Any])
    var statistics = try #require(object["statistics"] as? [String: Any])
    for key in ["repeats", "users_ending_on_repeat"] { #expect(statistics.removeValue(forKey: key) != nil) }
    let earlier = object.merging(["statistics": statistics]) { $1 }
    let text = try JSONSerialization.data(withJSONObject: earlier, options: [.prettyPrinted, .sortedKeys])
    try scratch.write(String(decoding: text, as: UTF8.self), "set/manifest.json")
    let opened = try PreparedFolder.open(scratch.path("set"))
    #expect(opened.dataset.fingerprint == loaded.dataset.fingerprint && opened.statistics.repeats == nil)
    #expect(opened.statistics.lengths == loaded.statistics.lengths && opened.statistics.duplicates == loaded.statistics.duplicates)
  }
}

@Suite struct ItemTableTests {
  private static let header = "id\texternal_id\tcount\n"

  private func decode(_ text: String) throws(ProgramFailure) -> (ids: ExternalIDs, counts: [Int64]) {
    let bytes = Array(text.utf8)
    return try bytes.withUnsafeBytes { buffer in Result { () throws(ProgramFailure) in try ItemTable.decode(buffer, path: "i.tsv") } }.get()
  }

  @Test func readsWhatItWrites() throws {
    let ids = ExternalIDs([Array("a\tb".utf8), [0xFF, 0], Array("é\n\r\\".utf8)])
    let (read, counts) = try decode(String(decoding: ItemTable.encode(ids: ExternalIDs([[0x41]]), counts: [0]), as: UTF8.self))
    #expect(Array(read[0]) == [0x41] && counts == [0])
    let again = try ItemTable.encode(ids: ids, counts: [1, 0, 7]).withUnsafeBytes { try ItemTable.decode($0, path: "i.tsv") }
    #expect(again.ids == ids && again.counts == [1, 0, 7])
    #expect(try decode(Self.header).counts == [])
  }

  @Test(arguments: [
    ("", 1), ("id\tid\tcount\n", 1), ("1\tx\t9", 1), ("1\tx\t9\n\n", 3), ("2\tx\t9\n", 2), ("1\tx\t9\n1\ty\t8\n", 3),
    ("1\tx\n", 2), ("1\tx\t9\t\n", 2), ("1\tx\t-9\n", 2), ("1\tx\t+9\n", 2), ("+1\tx\t9\n", 2), ("1\tx\t\n", 2),
    ("1\tx\\y\t9\n", 2), ("1\tx\\\t9\n", 2), ("1\tx\ry\t9\n", 2), ("1\tx\t9\r\n", 2), ("1\tx\t9999999999999999999\n", 2),
  ])
  func refuses(text: String, line: Int) {
    let failure = failure { _ = try decode(text.hasPrefix("id") || text.isEmpty ? text : Self.header + text) }
    #expect(failure.exitCode == .badData && failure.message.hasPrefix("i.tsv:\(line): "), "\(failure.message)")
  }

  @Test func refusesAnIDTwice() {
    let failure = failure { _ = try decode(Self.header + "1\tx\t9\n2\tx\t8\n") }
    #expect(failure == ProgramFailure(.badData, "i.tsv: an external id stands there twice"))
  }
}
