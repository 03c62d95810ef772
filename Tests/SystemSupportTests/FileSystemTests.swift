import Glibc
import SystemSupport
import TestSupport
import Testing

/// The failure of `body`; an issue where there is none.
func failure(_ body: () throws(ProgramFailure) -> Void) -> ProgramFailure? {
  do throws(ProgramFailure) { try body() } catch { return error }
  Issue.record("nothing was thrown")
  return nil
}

@Suite struct FileSystemTests {
  let folder: TemporaryFolder
  init() throws { folder = try TemporaryFolder() }

  private func text(_ path: String) throws -> String { String(decoding: try FileSystem.read(path), as: UTF8.self) }

  @Test func kinds() throws {
    #expect(FileSystem.kind(folder.path) == .directory)
    #expect(FileSystem.kind(folder.path + "/absent") == nil)
    #expect(FileSystem.kind("/dev/null") == .other)
    try FileSystem.writeDurably(folder.path + "/file", [1])
    #expect(FileSystem.kind(folder.path + "/file") == .file)
    #expect(symlink("file", folder.path + "/link") == 0 && symlink("absent", folder.path + "/dangling") == 0)
    #expect(FileSystem.kind(folder.path + "/link") == .file && FileSystem.kind(folder.path + "/dangling") == nil)
  }

  @Test func readsAndWritesWholeFiles() throws {
    let path = folder.path + "/file"
    let bytes = (0..<200_003).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
    try FileSystem.writeDurably(path, bytes)
    #expect(try FileSystem.read(path) == bytes)
    #expect(try FileSystem.read(path, limit: 70_001) == Array(bytes[..<70_001]))
    // Shorter than what stood there.
    try FileSystem.writeDurably(path, [UInt8]())
    #expect(try FileSystem.read(path) == [])
    #expect(try FileSystem.read("/dev/null") == [])
    #expect(try FileSystem.read("/dev/zero", limit: 65_537) == [UInt8](repeating: 0, count: 65_537))
  }

  @Test func partsFollowEachOther() throws {
    let (one, two): ([UInt8], [UInt8]) = ([1, 2, 3], [4])
    try one.withUnsafeBytes { one in
      try two.withUnsafeBytes { two in
        try FileSystem.writeDurably(folder.path + "/parts", [one, UnsafeRawBufferPointer(start: nil, count: 0), two])
      }
    }
    #expect(try FileSystem.read(folder.path + "/parts") == [1, 2, 3, 4])
  }

  @Test func readingErrorsNameThePathAndTheReason() throws {
    let absent = folder.path + "/absent"
    let missing = failure { () throws(ProgramFailure) in _ = try FileSystem.read(absent) }
    #expect(missing == ProgramFailure(.unreadable, "cannot read \(absent): No such file or directory"))
    let directory = failure { () throws(ProgramFailure) in _ = try FileSystem.read(folder.path) }
    #expect(directory == ProgramFailure(.unreadable, "cannot read \(folder.path): Is a directory"))
  }

  /// A pipe that nobody writes to would otherwise be waited for.
  @Test func onlyRegularFilesAreMapped() throws {
    try FileSystem.writeDurably(folder.path + "/file", [7])
    let file = try MappedFile(folder.path + "/file")
    #expect(withExtendedLifetime(file) { Array(file.bytes) } == [7])
    let pipe = folder.path + "/pipe"
    #expect(mkfifo(pipe, 0o600) == 0)
    for path in [pipe, "/dev/zero"] {
      let error = failure { () throws(ProgramFailure) in _ = try MappedFile(path) }
      #expect(error == ProgramFailure(.unreadable, "cannot read \(path), which is no regular file: No such device"))
    }
    let directory = failure { () throws(ProgramFailure) in _ = try MappedFile(folder.path) }
    #expect(directory == ProgramFailure(.unreadable, "cannot read \(folder.path): Is a directory"))
  }

  @Test func messagesAreOnePrintableLine() {
    #expect(ProgramFailure(.badData, "é \"x\" \\ 日").message == "é \"x\" \\ 日")
    #expect(ProgramFailure(.badData, "a\nb\r\u{1B}[1m\t\0\u{7F}\u{85}").message == #"a\nb\r\x1B[1m\t\x00\x7F\x85"#)
    let long = ProgramFailure(.badData, "start" + String(repeating: "é", count: 1 << 20) + "end").message
    #expect(long.hasPrefix("starté") && long.hasSuffix("éend") && long.contains(" [...] ") && long.utf8.count < 4200)
    #expect(TerminalText.escaped("a\nb\u{1B}", keepsLineEnds: true) == "a\nb\\x1B")
    // In time that grows with the text, not with its square: this would take minutes.
    #expect(ProgramFailure(.usage, String(repeating: "\0", count: 1 << 20)).message.utf8.count < 5000)
  }

  @Test func writingErrorsAreOfTheDisk() throws {
    let path = folder.path + "/absent/file"
    let missing = failure { () throws(ProgramFailure) in try FileSystem.writeDurably(path, [1]) }
    #expect(missing == ProgramFailure(.disk, "cannot write \(path): No such file or directory"))
    let full = failure { () throws(ProgramFailure) in try FileSystem.writeDurably("/dev/full", [1]) }
    #expect(full?.exitCode == .disk && full?.message.contains("/dev/full: No space left on device") == true)
  }

  @Test func replacesAtomically() throws {
    let path = folder.path + "/latest"
    try FileSystem.replaceAtomically(path, "one\n")
    let reader = open(path, O_RDONLY)
    defer { close(reader) }
    try FileSystem.replaceAtomically(path, "two\n")
    #expect(try text(path) == "two\n")
    // Whoever had opened the old file still reads the old text: it was replaced, not written over.
    var old = [UInt8](repeating: 0, count: 8)
    #expect(read(reader, &old, 8) == 4 && old.prefix(4) == [0x6F, 0x6E, 0x65, 0x0A])
    #expect(try FileSystem.list(folder.path) == ["latest"])
  }

  @Test func aFailedReplacementLeavesNothing() throws {
    // A folder cannot be replaced by a file.
    try FileSystem.createDirectories(folder.path + "/latest/inside")
    let refused = failure { () throws(ProgramFailure) in try FileSystem.replaceAtomically(folder.path + "/latest", "x") }
    #expect(refused?.exitCode == .disk)
    #expect(try FileSystem.list(folder.path) == ["latest"])
    #expect(try FileSystem.list(folder.path + "/latest") == ["inside"])
  }

  @Test func replacesFolders() throws {
    let (target, new, aside) = (folder.path + "/set", folder.path + "/.new", folder.path + "/.old")
    for (index, text) in ["one", "two"].enumerated() {
      try FileSystem.createDirectories(new)
      try FileSystem.replaceAtomically(new + "/\(index)", text)
      // What an earlier try left aside is in nobody's way.
      if index == 1 { try FileSystem.createDirectories(aside + "/rest") }
      try FileSystem.replaceFolder(target, by: new, aside: aside)
      #expect(try FileSystem.list(folder.path) == ["set"])
      #expect(try FileSystem.list(target) == ["\(index)"] && text == self.text(target + "/\(index)"))
    }
    let refused = failure { () throws(ProgramFailure) in try FileSystem.replaceFolder(target, by: new, aside: aside) }
    #expect(refused?.exitCode == .disk)
    #expect(try FileSystem.list(folder.path) == ["set"] && FileSystem.list(target) == ["1"])
  }

  @Test func linksAndWhatTheyLeadTo() throws {
    try FileSystem.createDirectories(folder.path + "/real")
    #expect(symlink("real", folder.path + "/link") == 0 && symlink("nowhere", folder.path + "/broken") == 0)
    #expect(FileSystem.resolved(folder.path + "/link/") == FileSystem.resolved(folder.path + "/real"))
    #expect(FileSystem.resolved(folder.path + "/new//") == folder.path + "/new")
    #expect(FileSystem.exists(folder.path + "/broken") && FileSystem.kind(folder.path + "/broken") == nil)
    #expect(!FileSystem.exists(folder.path + "/nowhere"))
    #expect(FileSystem.hiddenName(beside: "/a/b", "tmp") == "/a/.b.tmp-\(getpid())")
  }

  @Test func listsSortedNames() throws {
    for name in ["b", "a", ".hidden", "é", "a b"] { try FileSystem.writeDurably(folder.path + "/" + name, [UInt8]()) }
    #expect(try FileSystem.list(folder.path) == [".hidden", "a", "a b", "b", "é"])
    #expect(try FileSystem.list(folder.path + "/absent") == [])
    let file = failure { () throws(ProgramFailure) in _ = try FileSystem.list(folder.path + "/a") }
    #expect(file?.exitCode == .unreadable && file?.message.contains("Not a directory") == true)
  }

  @Test func makesFoldersAndThoseAbove() throws {
    let deep = folder.path + "/one//two/three/"
    try FileSystem.createDirectories(deep)
    try FileSystem.createDirectories(deep)
    #expect(FileSystem.kind(folder.path + "/one/two/three") == .directory)
    try FileSystem.writeDurably(folder.path + "/file", [UInt8]())
    let through = failure { () throws(ProgramFailure) in try FileSystem.createDirectories(folder.path + "/file/inside") }
    #expect(through == ProgramFailure(.disk, "cannot write \(folder.path)/file: File exists"))
  }

  @Test func removesLinksAndNotWhatTheyNameButAllElse() throws {
    let outside = folder.path + "/outside"
    try FileSystem.createDirectories(outside)
    try FileSystem.writeDurably(outside + "/precious", [7])
    let tree = folder.path + "/tree"
    try FileSystem.createDirectories(tree + "/a/b")
    try FileSystem.writeDurably(tree + "/a/b/file", [1])
    #expect(symlink(outside, tree + "/a/link") == 0)
    #expect(symlink(outside + "/precious", tree + "/file-link") == 0)
    #expect(symlink("nowhere", tree + "/dangling") == 0)
    try FileSystem.removeRecursively(tree)
    #expect(try FileSystem.list(folder.path) == ["outside"])
    #expect(try FileSystem.read(outside + "/precious") == [7])
    try FileSystem.removeRecursively(tree)
  }

  @Test(arguments: [
    ("/a/b", "/a", "b"), ("/a", "/", "a"), ("a", ".", "a"), ("a/b/", "a/b", "b"), ("runs/demo", "runs", "demo"),
  ]) func partsOfPaths(path: String, parent: String, last: String) {
    #expect(FileSystem.parent(of: path) == parent)
    #expect(FileSystem.lastComponent(of: path) == last)
  }
}

@Suite struct MappedFileTests {
  let folder: TemporaryFolder
  init() throws { folder = try TemporaryFolder() }

  @Test func hasTheFilesBytes() throws {
    let path = folder.path + "/file"
    let bytes = (0..<10_007).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    try FileSystem.writeDurably(path, bytes)
    let file = try MappedFile(path)
    // It stays readable when the name goes.
    try FileSystem.removeRecursively(path)
    #expect(Array(file.bytes) == bytes)
  }

  @Test func whatIsReadOnceCountsAsMemoryNoLonger() throws {
    let path = folder.path + "/large"
    let bytes = (0..<(16 << 20) + 5).map { UInt8(truncatingIfNeeded: $0 &* 7 ^ $0 >> 9) }
    try FileSystem.writeDurably(path, bytes)
    let file = try MappedFile(path)
    var (copy, pieces) = ([UInt8](repeating: 0, count: bytes.count - 3), 0)
    file.readOnce(3..<bytes.count) { _ in pieces += 1 }
    #expect(pieces > 1)
    copy.withUnsafeMutableBytes { if let base = $0.baseAddress { file.copy(3..<bytes.count, to: base) } }
    #expect(copy.elementsEqual(bytes[3...]))
    // KiB of the mapping that are in this process's memory.
    let maps = String(decoding: try FileSystem.read("/proc/self/smaps", limit: 1 << 26), as: UTF8.self).split(separator: "\n")
    let own = try #require(maps.firstIndex { $0.hasSuffix(path) })
    let resident = try #require(maps[own...].first { $0.hasPrefix("Rss:") }).split(separator: " ")
    #expect(try #require(Int(resident[1])) < 1024)
    // It can be read again.
    #expect(file.bytes.elementsEqual(bytes))
    #expect(try sha256Hexes(file, [0..<bytes.count, 3..<bytes.count]) == [sha256Hex(bytes), sha256Hex(copy)])
  }

  @Test func anEmptyFileHasNoBytes() throws {
    try FileSystem.writeDurably(folder.path + "/empty", [UInt8]())
    #expect(try MappedFile(folder.path + "/empty").bytes.isEmpty)
  }

  @Test func whatCannotBeMappedIsUnreadable() throws {
    let absent = failure { () throws(ProgramFailure) in _ = try MappedFile(folder.path + "/absent") }
    #expect(absent?.exitCode == .unreadable && absent?.message.contains("No such file") == true)
    let directory = failure { () throws(ProgramFailure) in _ = try MappedFile(folder.path) }
    #expect(directory?.exitCode == .unreadable && directory?.message.contains(folder.path) == true)
  }
}

@Suite struct SystemCallTests {
  @Test func interruptedCallsAreRepeated() throws {
    var calls = 0
    let result: Int32 = try systemCall("test", "subject") {
      calls += 1
      if calls < 3 {
        errno = EINTR
        return -1
      }
      return 5
    }
    #expect(result == 5 && calls == 3)
    do {
      try systemCall("test", "subject") { () -> Int32 in
        errno = ENOSPC
        return -1
      }
      Issue.record("nothing was thrown")
    } catch {
      #expect(error.call == "test" && error.errno == ENOSPC)
      #expect("\(error)" == "subject: No space left on device (test, errno \(ENOSPC))")
    }
  }
}
