import Checkpoints
import Glibc
import SystemSupport
import Testing

@Suite struct CheckpointWriterTests {
  let folder: TemporaryFolder
  let run: RunFolder

  init() throws {
    folder = try TemporaryFolder()
    run = RunFolder(folder.path + "/run")
  }

  @Test func keepsTheNewestAndTheBest() throws {
    for step in [10, 20, 30] { try Example.write(run, step: step, keep: 2) }
    #expect(try run.checkpoints() == ["step-00000030", "step-00000020"])
    try run.setBest(step: 20)
    for step in [40, 50, 60] { try Example.write(run, step: step, keep: 2) }
    #expect(try run.checkpoints() == ["step-00000060", "step-00000050", "step-00000020"])
    #expect(try run.best() == "step-00000020")
    #expect(try run.latest() == "step-00000060")

    // A best that is in the state but not yet in the file.
    try Example.write(run, step: 70, keep: 1, best: .init(step: 50, score: 1, metric: "m"))
    #expect(try run.checkpoints() == ["step-00000070", "step-00000050", "step-00000020"])
    try run.setBest(step: 50)
    try Example.write(run, step: 80, keep: 1)
    #expect(try run.checkpoints() == ["step-00000080", "step-00000050"])
    #expect(try FileSystem.list(run.checkpointsPath) == ["best", "latest", "step-00000050", "step-00000080"])
  }

  @Test func stepsSortByNumber() throws {
    for step in [99_999_999, 100_000_000, 5] { try Example.write(run, step: step) }
    #expect(try run.checkpoints() == ["step-100000000", "step-99999999", "step-00000005"])
  }

  /// A run that went back to an older checkpoint: the one just written stays, though others have higher steps.
  @Test func theOneJustWrittenStays() throws {
    for step in [10, 50] { try Example.write(run, step: step, keep: 2) }
    try Example.write(run, step: 20, keep: 1)
    #expect(try run.checkpoints() == ["step-00000050", "step-00000020"])
    #expect(try run.latest() == "step-00000020")
  }

  @Test func replacesACheckpointOfTheSameStep() throws {
    let path = try Example.write(run, step: 10)
    try FileSystem.writeDurably(path + "/model.safetensors", [1, 2, 3])
    try Example.write(run, step: 10, shift: 1)
    let checkpoint = try CheckpointReader.open(path, withMoments: true)
    #expect(Example.parameters(of: checkpoint) == Example.parameters.map { $0 + 1 })
    #expect(try FileSystem.list(run.checkpointsPath) == ["latest", "step-00000010"])
  }

  @Test func anInterruptedWriteIsNeverSeen() throws {
    let good = try Example.write(run, step: 10)
    // Killed while writing step 20: every file complete, only the rename is missing.
    let other = RunFolder(folder.path + "/other")
    let leftover = run.checkpointsPath + "/.tmp-step-00000020"
    try FileSystem.rename(try Example.write(other, step: 20), leftover)
    #expect(try run.checkpoints() == ["step-00000010"])
    #expect(try RunFolder.open(run.path, log: { Issue.record("\($0)") }).path == good)
    try Example.write(run, step: 30)
    #expect(FileSystem.kind(leftover) == nil)
    #expect(try run.checkpoints() == ["step-00000030", "step-00000010"])
  }

  @Test func aReplacementThatNeverArrivedGivesTheOldOneBack() throws {
    let path = try Example.write(run, step: 10)
    let setAside = run.checkpointsPath + "/.replaced-step-00000010"
    try FileSystem.rename(path, setAside)
    #expect(try run.newestGood(log: { _ in })?.path == path)
    #expect(FileSystem.kind(setAside) == nil)

    // The successor is there, only the clearing up was cut off.
    try FileSystem.rename(path, setAside)
    try Example.write(run, step: 20)
    try FileSystem.rename(path, setAside)
    try FileSystem.rename(run.checkpointsPath + "/step-00000020", path)
    try Example.write(run, step: 30)
    #expect(FileSystem.kind(setAside) == nil)
    #expect(try run.checkpoints() == ["step-00000030", "step-00000010"])
  }

  @Test func aRunFolderThatCannotBeMade() throws {
    let file = try folder.write("file", "text")
    for body in [
      { try RunFolder(file + "/run").create() }, { try RunFolder(file).create(configuration: "a: 1\n") },
      { try Example.write(RunFolder(file), step: 1) } as () throws -> Void,
    ] {
      let error = failure(body)
      #expect(error?.exitCode == .disk)
      #expect(error?.message.contains(file) == true)
    }
  }

  // MARK: Real disks

  /// Runs a body in a small file system of its own.
  func withSmallDisk(_ body: (RunFolder, _ remountReadOnly: () -> Bool) throws -> Void) throws {
    let point = folder.path + "/disk"
    try FileSystem.createDirectories(point)
    try #require(mount("tmpfs", point, "tmpfs", 0, "size=192k") == 0)
    defer { umount2(point, Int32(MNT_DETACH)) }
    try body(RunFolder(point + "/run")) { mount("tmpfs", point, "tmpfs", UInt(MS_REMOUNT | MS_RDONLY), nil) == 0 }
  }

  @Test(.enabled(if: canMount, "a file system of one's own needs root")) func fullDisk() throws {
    try withSmallDisk { run, _ in
      var written = 0
      while written < 100, (try? Example.write(run, step: written + 1, keep: 100)) != nil { written += 1 }
      let full = failure { try Example.write(run, step: written + 1, keep: 100) }
      #expect(full?.exitCode == .disk)
      #expect(full?.message.contains("No space left") == true, "\(full?.message ?? "")")
      #expect(full?.message.contains(run.checkpointsPath) == true)
      #expect(written > 1)
      #expect(try run.checkpoints().count == written)
      #expect(try FileSystem.list(run.checkpointsPath).allSatisfy { !$0.hasPrefix(".") })
      #expect(try run.newestGood(log: { Issue.record("\($0)") })?.state.step == written)

      // Room again: the run continues.
      try FileSystem.removeRecursively(run.checkpointsPath + "/step-00000001")
      try Example.write(run, step: written + 1, keep: 100)
      #expect(try run.newestGood(log: { Issue.record("\($0)") })?.state.step == written + 1)
    }
  }

  @Test(.enabled(if: canMount, "a file system of one's own needs root")) func readOnlyDisk() throws {
    try withSmallDisk { run, remountReadOnly in
      try Example.write(run, step: 1)
      try #require(remountReadOnly())
      let error = failure { try Example.write(run, step: 2) }
      #expect(error?.exitCode == .disk)
      #expect(error?.message.contains("Read-only file system") == true, "\(error?.message ?? "")")
      #expect(failure { try run.setBest(step: 1) }?.exitCode == .disk)
      #expect(failure { _ = try RunLock(run, log: { _ in }) }?.exitCode == .disk)
      // Reading needs no writing.
      #expect(try run.newestGood(log: { Issue.record("\($0)") })?.state.step == 1)
      let opened = try RunFolder.open(run.path, log: { Issue.record("\($0)") })
      #expect(opened.path == run.checkpointsPath + "/step-00000001")
    }
  }

  @Test(.enabled(if: canMount, "a file system of one's own needs root")) func fullDiskForMetrics() throws {
    try withSmallDisk { run, _ in
      try run.create()
      let log = try MetricsLog(run.metricsPath, resumingAfter: nil)
      let line: [(key: String, value: MetricValue)] = [
        ("step", .int(1)), ("text", .string(String(repeating: "x", count: 999))),
      ]
      var lines = 0
      while lines < 1000, (try? log.append(line)) != nil { lines += 1 }
      let error = failure { try log.append(line) }
      #expect(error?.exitCode == .disk)
      #expect(error?.message.contains("No space left") == true)
      // Not half a line more than was said to be written.
      let bytes = try FileSystem.read(run.metricsPath)
      #expect(bytes.last == UInt8(ascii: "\n"))
      #expect(bytes.split(separator: UInt8(ascii: "\n")).count == lines)
    }
  }
}

/// Whether this process may mount; tried out, since root in a container often may not.
let canMount: Bool = {
  guard let folder = try? TemporaryFolder() else { return false }
  guard mount("tmpfs", folder.path, "tmpfs", 0, "size=16k") == 0 else { return false }
  umount2(folder.path, Int32(MNT_DETACH))
  return true
}()
