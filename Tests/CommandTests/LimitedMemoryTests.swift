import Foundation
import Testing

extension CommandTests {
  /// Under real limits: of addresses, as `ulimit -v` sets them, and of control groups. Nothing crashes and nothing hangs.
  @Suite struct LimitedMemory {
    private static let demo = ["train"] + settings(["num_train_steps": 2])
    private static let large = ["train"] + settings(["hidden_size": 2048])

    /// `timeout` ends with 124 or 137 what hangs.
    private func run(_ prefix: String, _ arguments: [String], in folder: String) throws -> CommandResult {
      try Program.execute(
        "/bin/bash", ["-c", prefix + "exec timeout -k 1 60 \"$@\"", "bash"] + arguments,
        environment: Program.mpiEnvironment, in: folder)
    }

    /// OpenBLAS's threads would take 128 MiB each, and it asks for them for ever where it cannot have them, before `main`. The program itself
    /// takes more with newer versions of OpenBLAS, which reserve as much for the main thread, too.
    @Test func addresses() throws {
      try Program.withTemporaryFolder { folder in
        let refusals = [
          try run("ulimit -v 500000; ", [Program.path] + Self.large, in: folder),
          try run("ulimit -v 500000; ", ["mpirun", "-np", "2", Program.path] + Self.large, in: folder),
        ]
        for refused in refusals {
          #expect(refused.status == 64 && refused.output.isEmpty, "\(refused.errors)")
          #expect(refused.count(ofErrors: "error: not enough memory: this run needs ") == 1, "\(refused.errors)")
          #expect(
            refused.errors.contains("but this process's limit (ulimit -v) is ") && refused.errors.contains("; lower hidden_size"),
            "\(refused.errors)")
        }
        // The first limit in which it trains; the smaller ones are refused, and nothing hangs.
        let little = try #require(
          try stride(from: 260, to: 700, by: 20).first { mebibytes in
            let result = try run("ulimit -v \(mebibytes << 10); ", [Program.path] + Self.demo, in: folder)
            #expect(result.status == 0 || result.status == 64, "\(mebibytes): \(result.errors)")
            return result.status == 0
          })
        // A setting of the user's would make it hang as well; the program has no use for these threads.
        let set = try run("export OPENBLAS_NUM_THREADS=16; ulimit -v \(little << 10); ", [Program.path] + Self.demo, in: folder)
        #expect(set.status == 0, "\(set.errors)")
        let recommended = try run(
          "ulimit -v \(little << 10); ", [Program.path, "recommend", "--checkpoint", "runs/demo", "--data", "builtin:demo"], in: folder)
        #expect(recommended.status == 0 && recommended.lines.count > 400, "\(recommended.errors)")
        let measured = try run("ulimit -v \((little + 200) << 10); ", [Program.path, "bench", "--steps", "2", "--json"], in: folder)
        #expect(measured.status == 0 && measured.errors.contains("memory per rank: "), "\(measured.errors)")
      }
    }

    /// Down to where the loader itself cannot have its files any more (127), nothing hangs, and one rank says what is wrong.
    @Test(arguments: ["-v", "-d"]) func tooFewAddressesToStart(_ option: String) throws {
      try Program.withTemporaryFolder { folder in
        var refusals = 0
        for kibibytes in [100_000, 150_000, 180_000, 210_000, 250_000, 300_000, 350_000] {
          for launcher in [[], ["mpirun", "-np", "2"]] {
            let command = ["/bin/bash", "-c", "ulimit \(option) \(kibibytes); exec \"$@\"", "bash", Program.path]
            let result = try run("", launcher + command + Self.demo + ["--run", "run\(launcher.count)-\(kibibytes)"], in: folder)
            if result.status == 64 {
              refusals += 1
              #expect(result.count(ofErrors: "error: not enough memory: ") == 1, "\(result.errors)")
              #expect(result.errors.contains("limit (ulimit \(option)) "), "\(result.errors)")
            } else {
              #expect(result.status == 0 || result.errors.contains("error while loading shared libraries"), "\(result.errors)")
            }
          }
        }
        #expect(refusals > 0 || option == "-d")
      }
    }

    /// The folder of a new group of version 1 with these limits; nil where it cannot be made.
    private static func makeGroup(_ controller: String, _ files: [(name: String, text: String)]) -> String? {
      let path = "/sys/fs/cgroup/\(controller)/bert4rec-test-\(getpid())"
      guard mkdir(path, 0o755) == 0 else { return nil }
      for file in files {
        do { try Data(file.text.utf8).write(to: URL(fileURLWithPath: path + "/" + file.name)) } catch {
          rmdir(path)
          return nil
        }
      }
      return path
    }

    private static func canMakeGroup(_ controller: String, _ file: String) -> Bool {
      guard getuid() == 0, let path = makeGroup(controller, []) else { return false }
      defer { rmdir(path) }
      return FileManager.default.fileExists(atPath: path + "/" + file)
    }

    @Test(.enabled(if: canMakeGroup("memory", "memory.limit_in_bytes"), "a control group of memory (version 1) cannot be made here"))
    func aGroupsMemory() throws {
      let group = try #require(Self.makeGroup("memory", [("memory.limit_in_bytes", "419430400")]))
      defer { rmdir(group) }
      try Program.withTemporaryFolder { folder in
        let enter = "echo $$ > \(group)/cgroup.procs; "
        let refused = try run(enter, [Program.path] + Self.large, in: folder)
        #expect(refused.status == 64, "\(refused.errors)")
        #expect(refused.errors.contains("but the control group \(group) allows 400 MiB; lower hidden_size (2048)"), "\(refused.errors)")
        let shared = try run(
          enter, ["mpirun", "-np", "2", Program.path, "train"] + settings(["hidden_size": 512]), in: folder)
        #expect(shared.status == 64, "\(shared.errors)")
        #expect(shared.count(ofErrors: "error: not enough memory: 2 ranks on ") == 1, "\(shared.errors)")
        #expect(shared.errors.contains("; start at most 1 rank on that host"), "\(shared.errors)")
        #expect(try run(enter, [Program.path] + Self.demo, in: folder).status == 0)
      }
    }

    @Test(.enabled(if: canMakeGroup("cpu", "cpu.cfs_quota_us"), "a control group of cpu (version 1) cannot be made here"))
    func aGroupsProcessorTime() throws {
      let group = try #require(
        Self.makeGroup("cpu", [("cpu.cfs_period_us", "100000"), ("cpu.cfs_quota_us", "90000")]))
      defer { rmdir(group) }
      try Program.withTemporaryFolder { folder in
        let result = try run("echo $$ > \(group)/cgroup.procs; ", [Program.path] + Self.demo, in: folder)
        #expect(result.status == 0 && result.errors.contains("threads per rank: 1;"), "\(result.errors)")
      }
    }
  }
}
