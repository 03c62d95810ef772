import BERT4RecDist
import Foundation
import Testing

extension CommandTests {
  /// The disk fails while the program trains: that is said loudly, nothing that was saved is lost, and the run ends as
  /// an undisturbed one once the disk is mended.
  @Suite struct DiskTrouble {
    /// One validation, at the end: which state is the best does not depend on checkpoints that could not be written.
    static let values = [
      "num_train_steps": 800, "save_checkpoints_steps": 50, "report_steps": 10, "eval_every": 800, "batch_size": 16,
      "max_seq_length": 12, "hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 12,
    ]

    static func arguments(failures: Int = 3) -> [String] {
      ["train", "--run", "run", "--threads", "1"]
        + settings(values.merging(["checkpoint_failures": failures]) { $1 })
    }

    static let undisturbed = Result {
      try Program.withTemporaryFolder { folder in
        let result = try Program.run(arguments(), in: folder)
        try #require(result.status == 0, "\(result.errors)")
        let run = RunFiles(folder + "/run")
        return (hash: try run.hash, lines: try run.comparableLines)
      }
    }

    private func expectUndisturbed(_ run: RunFiles) throws {
      let expected = try Self.undisturbed.get()
      #expect(try run.hash == expected.hash)
      #expect(try run.comparableLines == expected.lines)
    }

    /// What was saved before the trouble is good, and the same command, with the default of failures, ends the run.
    private func expectGoesOn(_ folder: String) throws {
      let run = RunFiles(folder + "/run")
      let checkpoints = try run.checkpoints
      #expect(!checkpoints.isEmpty)
      for name in checkpoints { _ = try CheckpointReader.open("\(run.path)/checkpoints/\(name)", withMoments: true) }
      let rest = try Program.run(Self.arguments(), in: folder)
      #expect(rest.status == 0 && rest.errors.contains("resuming from run/checkpoints/step-"), "\(rest.errors)")
      try expectUndisturbed(run)
    }

    /// Starts, and waits until there are checkpoints.
    private func start(failures: Int, ranks: Int? = nil, in folder: String) throws -> RunningProgram {
      let program = try Program.start(Self.arguments(failures: failures), ranks: ranks, in: folder)
      try program.wait(for: "\"step\":120,", in: folder + "/run/metrics.jsonl")
      return program
    }

    // MARK: Without root

    /// Failures in a row end the run, however many steps are left.
    @Test(arguments: [nil, 2]) func theCheckpointsFolderIsReplacedByAFile(ranks: Int?) throws {
      try Program.withTemporaryFolder { folder in
        let program = try start(failures: 2, ranks: ranks, in: folder)
        let checkpoints = folder + "/run/checkpoints"
        try Data("no folder\n".utf8).write(to: URL(fileURLWithPath: folder + "/file"))
        // The writer must not find the place empty, and make a folder there.
        let writer = ranks == nil ? program.identifier : try #require(program.children.first)
        kill(writer, SIGSTOP)
        #expect(rename(checkpoints, folder + "/aside") == 0 && rename(folder + "/file", checkpoints) == 0)
        kill(writer, SIGCONT)
        let end = try program.wait()
        #expect(end.status == 74, "\(end.status): \(end.errors)")
        #expect(end.count(ofErrors: "failure 1 of 2 in a row (checkpoint_failures), training continues") == 1)
        #expect(end.count(ofErrors: "error: ") == 1)
        #expect(end.errors.contains("failure 2 of 2 in a row (checkpoint_failures): the run stops."))
        #expect(end.output.isEmpty)
        let last = try #require(try RunFiles(folder + "/run").reportedSteps.last)
        #expect(last < 800)

        // Running again before it is mended says the same thing at once.
        let again = try Program.run(Self.arguments(), in: folder)
        #expect(again.status == 74 && again.count(ofErrors: "error: ") == 1, "\(again.status): \(again.errors)")
        #expect(again.errors.contains("run/checkpoints"))

        #expect(rename(checkpoints, folder + "/file") == 0 && rename(folder + "/aside", checkpoints) == 0)
        try expectGoesOn(folder)
      }
    }

    /// No file may grow beyond a limit that is below a checkpoint's size, and that metrics.jsonl reaches on the way.
    @Test func filesMayNotGrow() throws {
      try Program.withTemporaryFolder { folder in
        let first = try Program.run(Self.arguments() + ["--stop-after", "50"], in: folder)
        #expect(first.status == 75)
        // In blocks of 512 bytes.
        let limited = try Program.execute(
          "/bin/sh", ["-c", "ulimit -f 20; exec \"$@\"", "sh", Program.path] + Self.arguments(failures: 1_000_000),
          in: folder)
        #expect(limited.status == 74, "\(limited.status): \(limited.errors)")
        #expect(limited.errors.contains("File too large"))
        #expect(limited.errors.contains("failure 14 of 1000000 in a row (checkpoint_failures), training continues"))
        #expect(limited.errors.contains("these lines are kept in memory and written as soon as the disk accepts them"))
        #expect(limited.count(ofErrors: "error: ") == 1)
        let run = RunFiles(folder + "/run")
        #expect(try run.checkpoints == ["step-00000050"])
        // Whole lines, as far as there was room.
        #expect(try (1..<80).contains(run.reportedSteps.count))
        try expectGoesOn(folder)
      }
    }

    // MARK: With file systems of the test's own

    @Test(.enabled(if: FileSystemForTests.canMount, "needs root's right to mount a tmpfs"))
    func aFullDiskIsFreedAndTheRunRecoversByItself() throws {
      try FileSystemForTests.withMemory(megabytes: 4) { folder in
        let program = try start(failures: 1_000_000, in: folder)
        let filler = open(folder + "/run/filler", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        try #require(filler >= 0)
        defer { close(filler) }
        // Whatever the program gives back meanwhile is taken as well.
        while !program.errorText.contains("failure 1 of"), program.isRunning {
          FileSystemForTests.fill(filler)
          usleep(1000)
        }
        #expect(program.errorText.contains("No space left on device"), "\(program.errorText)")
        let before = try RunFiles(folder + "/run").text("checkpoints/latest")
        #expect(unlink(folder + "/run/filler") == 0 && ftruncate(filler, 0) == 0)
        let end = try program.wait()
        #expect(end.status == 0, "\(end.status): \(end.errors)")
        #expect(end.count(ofErrors: "warning: checkpoint of step ") > 0)
        #expect(end.count(ofErrors: "error: ") == 0)
        let run = RunFiles(folder + "/run")
        #expect(try run.text("checkpoints/latest") != before)
        try expectUndisturbed(run)
        #expect(try run.checkpoints.count == 5)
      }
    }

    /// A full disk that nobody frees: the run reaches its last step, and cannot keep it.
    @Test(.enabled(if: FileSystemForTests.canMount, "needs root's right to mount a tmpfs"))
    func aFullDiskUntilTheEnd() throws {
      try FileSystemForTests.withMemory(megabytes: 4) { folder in
        let program = try start(failures: 1_000_000, in: folder)
        let filler = open(folder + "/run/filler", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        try #require(filler >= 0)
        defer { close(filler) }
        while program.isRunning {
          FileSystemForTests.fill(filler)
          usleep(1000)
        }
        let end = try program.wait()
        #expect(end.status == 74, "\(end.status): \(end.errors)")
        // Of a checkpoint's file or of metrics.jsonl, whichever is tried first.
        #expect(end.count(ofErrors: "error: ") == 1 && end.output.isEmpty)
        let error = try #require(end.errors.components(separatedBy: "error: ").last)
        #expect(error.contains("run/") && error.contains("No space left on device"), "\(error)")
        #expect(unlink(folder + "/run/filler") == 0 && ftruncate(filler, 0) == 0)
        try expectGoesOn(folder)
      }
    }

    /// What ext4 does when its disk fails: nothing can be written any more; what was not forced to the disk is lost.
    @Test(
      .enabled(if: FileSystemForTests.canMountImages, "needs root's right to mount an ext4 image, and mkfs.ext4"),
      arguments: [2, 1_000_000])
    func theDiskTurnsReadOnly(failures: Int) throws {
      try FileSystemForTests.withImage(megabytes: 24) { folder, remount in
        let program = try start(failures: failures, in: folder)
        // `remount,ro` is refused while files are open; this is what an error of the disk leads to.
        #expect(FileSystemForTests.run(["mount", "-o", "remount,abort", folder + "/run"]))
        let end = try program.wait()
        #expect(end.status == 74, "\(end.status): \(end.errors)")
        #expect(end.errors.contains("Read-only file system") || end.errors.contains("Input/output error"))
        #expect(end.errors.contains("failure 1 of \(failures) in a row (checkpoint_failures), training continues"))
        #expect(end.count(ofErrors: "error: ") == 1)
        let again = try Program.run(Self.arguments(), in: folder)
        #expect(again.status == 74 && again.errors.contains("Read-only file system"), "\(again.errors)")
        try remount()
        try expectGoesOn(folder)
      }
    }
  }
}

/// File systems that a test may fill and break, mounted on a run's folder. What the program prints goes beside it.
private enum FileSystemForTests {
  static let canMount = getuid() == 0 && (try? withMemory(megabytes: 1) { _ in true }) == true
  static let canMountImages = getuid() == 0 && (try? withImage(megabytes: 8) { _, _ in true }) == true

  /// A tmpfs as the folder `run` in the folder that `body` gets.
  static func withMemory<R>(megabytes: Int, _ body: (String) throws -> R) throws -> R {
    try withMount(["-t", "tmpfs", "-o", "size=\(megabytes)m", "tmpfs"]) { folder, _ in try body(folder) }
  }

  /// An ext4 in a file. `body` also gets what unmounts it and mounts it again.
  static func withImage<R>(megabytes: Int, _ body: (String, () throws -> Void) throws -> R) throws -> R {
    try Program.withTemporaryFolder { folder in
      let image = folder + "/image"
      try #require(FileManager.default.createFile(atPath: image, contents: nil))
      try #require(truncate(image, megabytes << 20) == 0)
      try #require(run(["mkfs.ext4", "-q", image]))
      return try withMount(["-o", "loop", image], body)
    }
  }

  private static func withMount<R>(
    _ options: [String], _ body: (String, () throws -> Void) throws -> R
  ) throws -> R {
    try Program.withTemporaryFolder { folder in
      let place = folder + "/run"
      try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: false)
      try #require(run(["mount"] + options + [place]))
      defer { _ = run(["umount", "-l", place]) }
      return try body(folder) {
        try #require(run(["umount", place]))
        try #require(run(["mount"] + options + [place]))
      }
    }
  }

  /// Takes all room that is left, to the last byte.
  static func fill(_ descriptor: Int32) {
    for size in [65536, 1] {
      let bytes = [UInt8](repeating: 1, count: size)
      while write(descriptor, bytes, size) > 0 {}
    }
  }

  /// Whether a system administrator's command succeeds.
  static func run(_ words: [String]) -> Bool {
    let path = (ProcessInfo.processInfo.environment["PATH"] ?? "") + ":/usr/sbin:/sbin"
    return (try? Program.execute("/usr/bin/env", words, environment: ["PATH": path]).status) == 0
  }
}
