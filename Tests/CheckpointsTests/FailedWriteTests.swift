import Checkpoints
import Glibc
import SystemSupport
import Testing

/// No checkpoint is removed before its successor is safe: a write that fails at any of its steps leaves the earlier ones.
@Suite struct FailedWriteTests {
  let folder: TemporaryFolder
  init() throws { folder = try TemporaryFolder() }

  private func expectGood(_ run: RunFolder, _ steps: [Int], _ what: String) throws {
    #expect(try run.checkpoints() == steps.reversed().map { "step-000000\($0)" }, "\(what)")
    for step in steps {
      let checkpoint = try CheckpointReader.open("\(run.checkpointsPath)/step-000000\(step)", withMoments: true)
      #expect(Example.parameters(of: checkpoint) == Example.parameters.map { $0 + Float(step) }, "\(what)")
    }
  }

  @Test func whereSomethingStandsInTheWay() throws {
    for blocked in ["latest", "latest.tmp"] {
      let run = RunFolder(folder.path + "/" + blocked)
      for step in [10, 20] { try Example.write(run, step: step, shift: Float(step)) }
      try FileSystem.removeRecursively(run.checkpointsPath + "/" + blocked)
      try FileSystem.createDirectories("\(run.checkpointsPath)/\(blocked)/folder")
      let error = failure { try Example.write(run, step: 30, keep: 1, shift: 30) }
      #expect(error?.exitCode == .disk && error?.message.contains(run.checkpointsPath) == true, "\(blocked)")
      // The new one is there; that nothing points to it is no reason to remove any.
      try expectGood(run, [10, 20, 30], blocked)
      try FileSystem.removeRecursively("\(run.checkpointsPath)/\(blocked)")
      try Example.write(run, step: 40, keep: 1, shift: 40)
      try expectGood(run, [40], blocked)
    }
  }

  /// A damaged file `best` might name any of them, so all stay, unless the state says which is the best.
  @Test func whereTheBestIsNotKnown() throws {
    let run = RunFolder(folder.path + "/run")
    for step in [10, 20] { try Example.write(run, step: step, shift: Float(step)) }
    try FileSystem.replaceAtomically(run.checkpointsPath + "/best", "../..")
    try Example.write(run, step: 30, keep: 1, shift: 30)
    try expectGood(run, [10, 20, 30], "best")
    try Example.write(run, step: 40, keep: 1, best: .init(step: 20, score: 0.5, metric: "mrr[full]"), shift: 40)
    try expectGood(run, [20, 40], "best")
  }

  /// A file system that is given room, page by page or file by file, until a write succeeds: each attempt before ends at
  /// a later step.
  @Test(
    .enabled(if: canMount, "a file system of one's own needs root"),
    arguments: ["size", "nr_inodes"], [20, 30])
  func whereRoomEndsAtEveryStep(limit: String, successor: Int) throws {
    let point = folder.path + "/disk"
    try FileSystem.createDirectories(point)
    try #require(mount("tmpfs", point, "tmpfs", 0, "size=1m,nr_inodes=1000") == 0)
    defer { umount2(point, Int32(MNT_DETACH)) }
    let run = RunFolder(point + "/run")
    for step in [10, 20] { try Example.write(run, step: step, shift: Float(step)) }

    var usage = statvfs()
    try #require(statvfs(point, &usage) == 0)
    let pages = Int(usage.f_blocks - usage.f_bfree)
    let files = Int(usage.f_files - usage.f_ffree)
    var messages: Set<String> = []
    var isThere = false
    for room in 0..<80 {
      let options =
        limit == "size" ? "size=\((pages + room) * Int(usage.f_bsize))" : "nr_inodes=\(files + room)"
      try #require(mount("tmpfs", point, "tmpfs", UInt(MS_REMOUNT), options) == 0)
      do {
        try Example.write(run, step: successor, keep: 1, shift: Float(successor))
      } catch let error as ProgramFailure {
        #expect(error.exitCode == .disk, "\(error.message)")
        messages.insert(error.message)
        // Where only the pointer to it failed, the new one is there, and the next attempt replaces it.
        isThere = isThere || successor == 30 && error.message.contains("/latest")
        try expectGood(run, isThere ? [10, 20, 30] : [10, 20], "\(options): \(error.message)")
        #expect(try FileSystem.list(run.checkpointsPath).allSatisfy { !$0.hasPrefix(".") })
        continue
      }
      try expectGood(run, [successor], options)
      #expect(messages.count >= 4, "\(messages.sorted())")
      return
    }
    Issue.record("no room was enough: \(messages.sorted())")
  }
}
