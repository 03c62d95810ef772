import Foundation
import InteractionData
import SystemSupport
import Testing

/// Which file of an archive is read.
@Suite struct ArchiveMemberTests {
  /// tar is on every Linux that these tests run on; zip need not be. A compressed tar is unpacked once, where a file is looked for.
  private static let packs = ["tar -cf", "tar -czf", "zip -q -r"].filter { pack in
    let isThere = FileManager.default.isExecutableFile(atPath: "/usr/bin/" + pack.prefix { $0 != " " })
    if !isThere { print("archives of '\(pack)': skipped, it is not on this machine") }
    return isThere
  }

  /// An archive of files, which have this text.
  private func pack(_ pack: String, _ files: [String: String], _ scratch: Scratch, more: String = "") throws -> String {
    let folder = scratch.path("in-\(UUID().uuidString)")
    for (name, text) in files {
      let path = folder + "/" + name
      try FileManager.default.createDirectory(
        atPath: URL(fileURLWithPath: path).deletingLastPathComponent().path, withIntermediateDirectories: true)
      try text.write(toFile: path, atomically: true, encoding: .utf8)
    }
    try Packer.shell("\(more)\(pack) ../packed .; { [ -e ../packed ] || mv ../packed.* ../packed; }", in: folder)
    return scratch.path("packed")
  }

  private static let ratings = "1::10::5::978300760\n1::11::3::978300761\n2::10::4::978300762\n"

  @Test(arguments: packs, ["ratings.dat", "u.data", "ml/ratings.csv", "a/b/ml.inter", "RATINGS.DAT"])
  func knownNamesAreFound(_ pack: String, _ name: String) throws {
    let scratch = try Scratch()
    let text =
      switch name {
      case "u.data": "1\t10\t5\t978300760\n1\t11\t3\t978300761\n2\t10\t4\t978300762\n"
      case "ml/ratings.csv": "userId,movieId,timestamp\n1,10,978300760\n1,11,978300761\n2,10,978300762\n"
      case "a/b/ml.inter": "user_id:token\titem_id:token\n1\t10\n1\t11\n2\t10\n"
      default: Self.ratings
      }
    let path = try self.pack(
      pack, [name: text, "README": "read me", "ml/movies.dat": "10::Toy Story::x\n", "__MACOSX/._ratings.dat": "x"], scratch)
    let loaded = try load(path)
    #expect(loaded.histories == histories("1: 10 11; 2: 10"))
    #expect(loaded.log.first?.hasPrefix("\(path):\(name): read as: ") == true, "\(loaded.said)")
  }

  @Test(arguments: packs) func theOnlyFileIsRead(_ pack: String) throws {
    let scratch = try Scratch()
    let path = try self.pack(pack, ["deep/folder/what ever:it is": "u a\nu b\n"], scratch)
    #expect(try load(path).histories == histories("u: a b"))
    #expect(try load(path + ":deep/folder/what ever:it is").histories == histories("u: a b"))
  }

  @Test(arguments: packs) func aFileIsNamed(_ pack: String) throws {
    let scratch = try Scratch()
    let files = ["x/train.csv": "user_id,item_id\nu,a\nu,b\n", "x/test.csv": "user_id,item_id\nv,a\n", "x/é.csv": "user_id,item_id\nw,c\n"]
    let path = try self.pack(pack, files, scratch)
    #expect(try load(path + ":x/train.csv").histories == histories("u: a b"))
    #expect(try load(path + ":x/train.csv").dataset.name == "train")
    #expect(try load(path + ":x/é.csv").histories == histories("w: c"))
    #expect(try load(path + ":x/train.csv", path + ":x/test.csv").histories == histories("u: a b; v: a"))
    #expect(try load(scratch.path("pack[e]d:x/test.csv")).histories == histories("v: a"))

    let unsaid = failure { try load(path) }
    #expect(unsaid.exitCode == .badData && unsaid.message.contains("none of the 3 files in this archive has a name that is known"))
    #expect(unsaid.message.contains("\"x/test.csv\"") && unsaid.message.contains("as in --data \(path):x/"), "\(unsaid.message)")
    let absent = failure { try load(path + ":test.csv") }
    #expect(absent.exitCode == .badData && absent.message.contains("is called \"test.csv\"; there are "), "\(absent.message)")
    #expect(failure { try load(path + ":x") }.exitCode == .badData)
  }

  @Test(arguments: packs) func severalThatMayBeMeantAreRefused(_ pack: String) throws {
    let scratch = try Scratch()
    let path = try self.pack(pack, ["a/ml.train.inter": "x", "a/ml.test.inter": "x", "b/other.csv": "x"], scratch)
    let failure = failure { try load(path) }
    #expect(failure.exitCode == .badData && failure.message.contains("2 files in this archive may be the data"), "\(failure.message)")
    #expect(failure.message.contains("\"a/ml.test.inter\"") && !failure.message.contains("other.csv"), "\(failure.message)")
    #expect(failure.message.contains("as in --data \(path):a/ml.t"), "\(failure.message)")
  }

  @Test(arguments: packs) func foldersAndLinksAreNoFiles(_ pack: String) throws {
    let scratch = try Scratch()
    let path = try self.pack(pack, ["x/real.csv": "u a\nu b\n"], scratch, more: "mkdir ratings.csv; ")
    #expect(try load(path).histories == histories("u: a b"))
  }

  @Test func aLinkOutOfAnArchiveIsNotFollowed() throws {
    let scratch = try Scratch()
    try Packer.shell("ln -s /etc/passwd ratings.csv && tar -cf packed ratings.csv", in: scratch.folder)
    let failure = failure { try load(scratch.path("packed")) }
    #expect(failure.exitCode == .badData && failure.message.contains("no file is in this archive"), "\(failure.message)")
  }

  @Test func whatIsNoArchiveHasNoFiles() throws {
    let scratch = try Scratch()
    let path = try scratch.write("u a\n", "plain.txt")
    let refused = failure { try load(path + ":ratings.csv") }
    #expect(refused.exitCode == .badData && refused.message.contains("plain.txt is no archive"), "\(refused.message)")
    #expect(failure { try load(scratch.path("absent.zip:ratings.csv")) }.exitCode == .unreadable)
    // A file's own name counts first.
    try scratch.write("v b\n", "plain.txt:ratings.csv")
    #expect(try load(path + ":ratings.csv").histories == histories("v: b"))
  }

  @Test func archivesInArchivesAreRefused() throws {
    let scratch = try Scratch()
    try scratch.write("u a\n", "ratings.csv")
    try Packer.shell(
      "tar -cf inner.tar ratings.csv; tar -cf outer.tar inner.tar; gzip -k outer.tar; gzip -c outer.tar.gz > twice.gz",
      in: scratch.folder)
    for name in ["outer.tar", "outer.tar.gz"] {
      let refused = failure { try load(scratch.path(name)) }
      #expect(refused.exitCode == .badData && refused.message.contains("a tar archive within what is packed itself"), "\(refused.message)")
    }
    #expect(failure { try load(scratch.path("twice.gz")) }.message.contains("compressed twice"))
  }

  @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/zip"), "zip is not on this machine"))
  func encryptedFilesAreRefused() throws {
    let scratch = try Scratch()
    try scratch.write("u a\nu b\n", "ratings.csv")
    try Packer.shell("zip -q -P secret packed.zip ratings.csv", in: scratch.folder)
    let failure = failure { try load(scratch.path("packed.zip")) }
    #expect(failure.exitCode == .badData && failure.message.contains("\"ratings.csv\" is encrypted"), "\(failure.message)")
  }

  /// A tar that was cut where a file begins is whole but for its end.
  @Test func anEndThatIsMissingIsNoticed() throws {
    let scratch = try Scratch()
    try scratch.write("u a\nu b\n", "ratings.csv")
    try scratch.write("u a\nu b\n", "z.txt")
    try Packer.shell("tar -cf packed.tar ratings.csv z.txt", in: scratch.folder)
    let whole = try scratch.read("packed.tar")
    #expect(try load(scratch.path("packed.tar")).histories == histories("u: a b"))
    let failure = failure { try load(scratch.write(Array(whole[..<1024]), "cut")) }
    #expect(failure.exitCode == .badData && failure.message.contains("its end is missing"), "\(failure.message)")
  }
}
