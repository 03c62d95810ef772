import Foundation
import SystemSupport
import Testing

extension CommandTests {
  /// The program writes into the folder that it was given and nowhere else, and no name out of a file becomes a path.
  @Suite struct Outside {
    static let small = settings([
      "max_seq_length": 8, "hidden_size": 8, "intermediate_size": 8, "batch_size": 16, "num_train_steps": 6,
      "num_warmup_steps": 0, "save_checkpoints_steps": 2, "keep_checkpoints": 1, "report_steps": 2, "threads": 1,
    ])

    /// Every name below a folder, with a hash of each file but `lock`, which names the process that had it last.
    private func listing(_ folder: String) throws -> [String] {
      try FileManager.default.subpathsOfDirectory(atPath: folder).sorted().map { name in
        let path = folder + "/" + name
        var isFolder: ObjCBool = false
        _ = FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
        if isFolder.boolValue || name.hasSuffix("/lock") { return name }
        return "\(name) \(sha256Hex(Array(FileManager.default.contents(atPath: path) ?? Data())))"
      }
    }

    /// Quoted CSV whose ids are what would be paths, options, or the end of a line or of a C string.
    private static let dangerousData: Data = {
      let names = [
        "../../x", "/etc/passwd", "..", ".", "~/x", "$(touch x)", "`touch x`", "a\nb", "a\r\nb", "-rf", "--run", "x\ty",
        "checkpoints/latest", "step-00000002", "\u{1B}]0;x\u{7}", "*", "CON", " ", "a\\..\\b", "'; rm -rf x; '",
      ]
      var text = "user_id,item_id,timestamp\n"
      for row in 0..<2400 {
        let (user, item) = (names[row % names.count], names[row * row % 7 + row % 13])
        text += "\"\(user)\(row % 3 == 0 ? "" : "/\(row % 40)")\",\"\(item)\",\(1_000_000 + row * 7919 % 5000)\n"
      }
      // A zero byte is taken for binary data where a file begins; further down it is a byte of an id.
      text += "u\0/../../x,i\0/x,5\nu\0/../../x,..\0,6\nu\0/../../x,\0,7\n"
      return Data(text.utf8)
    }()

    /// Folders to start from, with a file that nobody may touch two levels above the run.
    private func withFolders(_ body: (_ base: String, _ environment: [String: String]) throws -> Void) throws {
      try Program.withTemporaryFolder { base in
        for name in ["home", "tmp", "jobs/runs", "elsewhere"] {
          try FileManager.default.createDirectory(atPath: base + "/" + name, withIntermediateDirectories: true)
        }
        try "mine".write(toFile: base + "/x", atomically: true, encoding: .utf8)
        try "mine".write(toFile: base + "/jobs/x", atomically: true, encoding: .utf8)
        try Self.dangerousData.write(to: URL(fileURLWithPath: base + "/data.csv"))
        try body(base, ["HOME": base + "/home", "TMPDIR": base + "/tmp", "XDG_CACHE_HOME": base + "/home/cache"])
      }
    }

    @Test func onlyTheRunFolderIsWritten() throws {
      #expect(Self.dangerousData.count > 1 << 16)
      try withFolders { base, environment in
        let (work, run) = (base + "/jobs", base + "/elsewhere/run")
        func command(_ arguments: [String], status: Int32 = 0) throws -> CommandResult {
          let result = try Program.run(arguments, environment: environment, in: work)
          #expect(result.status == status, "\(arguments): \(result.errors)")
          return result
        }
        let before = try listing(base)
        _ = try command(["train", "--data", "../data.csv", "--run", run] + Self.small)
        let after = try listing(base)
        #expect(after.filter { !$0.hasPrefix("elsewhere/run") } == before)
        let inside = try FileManager.default.contentsOfDirectory(atPath: run).sorted()
        #expect(inside == ["checkpoints", "config.yaml", "lock", "metrics.jsonl"])
        let checkpoints = try FileManager.default.contentsOfDirectory(atPath: run + "/checkpoints")
        #expect(checkpoints.allSatisfy { $0.hasPrefix("step-0000000") || $0 == "latest" || $0 == "best" })

        // Reading commands write nothing at all, wherever ids may lead.
        _ = try command(["evaluate", "--checkpoint", run, "--data", "../data.csv", "--json"])
        for format in ["csv", "tsv", "jsonl"] {
          let list = try command([
            "recommend", "--checkpoint", run, "--data", "../data.csv", "--format", format, "--top-k", "2",
          ])
          #expect(list.output.contains("../../x") && list.outputBytes.contains(0) == (format != "jsonl"))
        }
        _ = try command(["prepare", "../data.csv"])
        _ = try command(["train", "--data", "../data.csv", "--run", run] + Self.small)
        #expect(try listing(base) == after)

        _ = try command(["prepare", "../data.csv", "--output", "../elsewhere/set"])
        let prepared = try listing(base).filter { !after.contains($0) }
        #expect(prepared.allSatisfy { $0.hasPrefix("elsewhere/set") } && prepared.count == 5, "\(prepared)")
      }
    }

    /// The run folder's name comes from the data file's, which may be anything.
    @Test(arguments: [
      "...", "..csv", "-rf.txt", "a\nb.csv", "$(touch x).csv", "\u{1B}[31m.csv", " .csv", "ä/../..csv", "runs", "a:b\\c",
      String(repeating: "x", count: 250),
    ])
    func theRunFolderIsOneNameBelowRuns(name: String) throws {
      try withFolders { base, environment in
        let work = base + "/jobs"
        let path = base + "/in/" + name
        let folder = String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)])
        try FileManager.default.createDirectory(atPath: base + "/in/ä", withIntermediateDirectories: true)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try Self.dangerousData.write(to: URL(fileURLWithPath: path))
        let before = try listing(base)
        let result = try Program.run(["train", "--data", path] + Self.small, environment: environment, in: work)
        #expect(result.status == 0, "\(result.errors)")
        // The name may be shown, but does nothing to a terminal.
        #expect(!result.errors.contains("\u{1B}") && !result.errors.contains("\u{7}"))
        let runs = try FileManager.default.contentsOfDirectory(atPath: work + "/runs")
        #expect(runs.count == 1)
        let made = try #require(runs.first)
        #expect(made.wholeMatch(of: /[A-Za-z0-9_-][A-Za-z0-9._-]*/) != nil && made.utf8.count <= 100, "\(made)")
        #expect(try listing(base).filter { !$0.hasPrefix("jobs/runs/\(made)") } == before)
      }
    }

    /// `best` and `latest` that lead out of the run.
    @Test(arguments: ["../..\n", "../../..", "/etc\n", "step-00000006/../../..", ".\n"])
    func whatBestAndLatestHoldIsNoPath(text: String) throws {
      try withFolders { base, environment in
        let (work, run) = (base + "/jobs", base + "/jobs/a/b/run")
        let train = ["train", "--data", "../data.csv", "--run", run] + Self.small
        #expect(try Program.run(train + ["--stop-after", "4"], environment: environment, in: work).status == 75)
        for file in ["best", "latest"] {
          let path = run + "/checkpoints/" + file
          let original = try? String(contentsOfFile: path, encoding: .utf8)
          try text.write(toFile: path, atomically: true, encoding: .utf8)
          // Only where there is no best is the latest looked at.
          let best = run + "/checkpoints/best"
          if file == "latest" { try? FileManager.default.moveItem(atPath: best, toPath: base + "/best") }
          let before = try listing(base)
          for command in ["evaluate", "recommend"] {
            let result = try Program.run(
              [command, "--checkpoint", run, "--data", "../data.csv"], environment: environment, in: work)
            #expect(result.status == 0 && !result.output.isEmpty)
            #expect(result.count(ofErrors: "\(path) is damaged: it holds ") == 1, "\(result.errors)")
          }
          #expect(try listing(base) == before)
          if file == "latest" { try? FileManager.default.moveItem(atPath: base + "/best", toPath: best) }
          if let original { try original.write(toFile: path, atomically: true, encoding: .utf8) }
        }
        // A run continues without them, and nothing but the run changes, whatever is no longer kept.
        for file in ["best", "latest"] {
          try text.write(toFile: "\(run)/checkpoints/\(file)", atomically: true, encoding: .utf8)
        }
        let before = try listing(base).filter { !$0.hasPrefix("jobs/a/b/run") }
        let rest = try Program.run(train, environment: environment, in: work)
        #expect(rest.status == 0, "\(rest.errors)")
        #expect(try listing(base).filter { !$0.hasPrefix("jobs/a/b/run") } == before)
        #expect(try RunFiles(run).text("checkpoints/latest") == "step-00000006\n")
        #expect(try RunFiles(run).text("checkpoints/best").wholeMatch(of: /step-0000000[246]\n/) != nil)
      }
    }

    static let canTrace =
      (try? Program.execute("/usr/bin/env", ["strace", "-f", "-o", "/dev/null", "true"]))?.status == 0

    /// What the kernel sees: every call that makes, changes, moves or removes something by name.
    @Test(.enabled(if: canTrace, "strace is not installed, or may not trace here"))
    func everyChangeIsInsideTheRunFolder() throws {
      try withFolders { base, environment in
        let work = base + "/jobs"
        let train = [Program.path, "train", "--data", "../data.csv", "--run", "runs/traced"] + Self.small
        // The second run resumes, replaces and removes.
        for more in [["--stop-after", "3"], []] {
          let trace = base + "/trace"
          // A file a thread, so that no call is cut in two.
          let result = try Program.execute(
            "/usr/bin/env", ["strace", "-ff", "-e", "trace=%file", "-e", "signal=none", "-o", trace] + train + more,
            environment: environment, in: work)
          #expect(result.status == (more.isEmpty ? 0 : 75), "\(result.errors)")
          var changes: [String: Int] = [:]
          for name in try FileManager.default.contentsOfDirectory(atPath: base) where name.hasPrefix("trace.") {
            let text = String(decoding: FileManager.default.contents(atPath: base + "/" + name) ?? Data(), as: UTF8.self)
            for line in text.split(separator: "\n") {
              guard let (call, paths) = Self.change(line) else { continue }
              changes[call, default: 0] += 1
              #expect(
                paths.allSatisfy { $0 == "runs/traced" || $0.hasPrefix("runs/traced/") && !$0.contains("..") },
                "\(line)")
            }
            try FileManager.default.removeItem(atPath: base + "/" + name)
          }
          // The trace shows what is known to happen.
          #expect(changes["openat"] ?? 0 >= 10 && changes["rename"] ?? changes["renameat"] ?? 0 >= 2, "\(changes)")
          #expect(changes["mkdir"] ?? changes["mkdirat"] ?? 0 >= 1, "\(changes)")
        }
      }
    }

    /// The call and the paths of a line of strace, where it succeeded and is of a kind that changes something.
    private static func change(_ line: Substring) -> (call: String, paths: [String])? {
      guard let match = line.firstMatch(of: /^(\w+)\((.*)\)\s+= (-?\d+)/), !match.3.hasPrefix("-") else { return nil }
      let (call, arguments) = (String(match.1), match.2)
      let paths = arguments.matches(of: /"((?:[^"\\]|\\.)*)"/).map { String($0.1) }
      switch call {
      case "open", "openat", "openat2":
        let writes = ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND"]
        guard writes.contains(where: arguments.contains), paths != ["/dev/null"] else { return nil }
        // A library of Open MPI 5 names its thread.
        if paths.allSatisfy({ $0.wholeMatch(of: #//proc/self/task/[0-9]+/comm/#) != nil }) { return nil }
        return (call, paths)
      case "creat", "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2", "link",
        "linkat", "symlink", "symlinkat", "truncate", "mknod", "mknodat", "chmod", "fchmodat", "chown", "lchown",
        "fchownat", "setxattr", "removexattr", "utime", "utimes", "futimesat", "utimensat":
        return (call, paths)
      default: return nil
      }
    }
  }
}
