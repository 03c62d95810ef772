import Foundation
import Testing

extension CommandTests {
  /// Each is refused with its exit code and one clear message; some also under mpirun, where all ranks leave.
  @Suite struct BadInput {
    struct Case: Sendable, CustomTestStringConvertible {
      var name: String
      /// Written to data.txt, where not nil.
      var data: [UInt8]?
      /// Written to recipe.yaml, where not nil.
      var recipe: String?
      var arguments: [String]
      var status: Int32
      var words: String
      /// mpirun takes a second to end a job that failed: of each place where things are refused one case is enough.
      var onRanks: Bool

      init(
        _ name: String, data: String? = nil, bytes: [UInt8]? = nil, recipe: String? = nil, _ arguments: String...,
        status: Int32, onRanks: Bool = false,
        _ words: String
      ) {
        self.name = name
        self.data = bytes ?? data.map { Array($0.utf8) }
        self.recipe = recipe
        self.arguments = arguments
        self.status = status
        self.words = words
        self.onRanks = onRanks
      }

      var testDescription: String { name }
    }

    private static let prose = """
      It was a bright cold day in April, and the clocks were striking thirteen.
      Winston Smith, his chin nuzzled into his breast in an effort to escape the vile wind,
      slipped quickly through the glass doors of Victory Mansions.

      """
    private static let binary = (0..<5000).map { UInt8(truncatingIfNeeded: ($0 &* 2_654_435_761) >> 7) }

    static let cases = [
      Case("empty file", data: "", "train", "--data", "data.txt", status: 65, onRanks: true, "data.txt"),
      Case("prose", data: prose, "train", "--data", "data.txt", status: 65, "data.txt"),
      Case("binary", bytes: binary, "train", "--data", "data.txt", status: 65, "data.txt"),
      Case(
        "one item a user", data: (0..<20).map { "u\($0) i\($0 % 7)\n" }.joined(), "train", "--data", "data.txt",
        status: 65, onRanks: true, "no user of data has 3 interactions"),
      Case(
        "one distinct item", data: (0..<20).map { "u\($0 % 4) i\n" }.joined(), "train", "--data", "data.txt",
        status: 65, "data has 1 item(s)"),
      Case(
        "ratings in the place of items", data: (0..<300).map { "u\($0 % 20),\(1 + $0 * $0 % 5)\n" }.joined(), "train", "--data", "data.txt",
        status: 65, onRanks: true, "--columns item=2"),
      Case("no data file", "train", "--data", "absent.txt", status: 66, "absent.txt: No such file or directory"),
      Case(
        "no configuration file", "train", "--config", "absent.yaml", status: 66, onRanks: true,
        "cannot read absent.yaml: No such file or directory"),
      Case(
        "not YAML", recipe: "seed: [1\n", "train", "--config", "recipe.yaml", status: 64, "recipe.yaml:2: not YAML: "),
      Case(
        "not text", bytes: binary, "train", "--config", "data.txt", status: 64, "data.txt: not a text file"),
      Case(
        "unknown key", recipe: "data: data.txt\nnum_trian_steps: 3\n", "train", "--config", "recipe.yaml",
        status: 64, onRanks: true,
        "recipe.yaml:2: unknown key \"num_trian_steps\"; the nearest known one is \"num_train_steps\""),
      Case(
        "out of range", recipe: "mask_prob: 1.5\n", "train", "--config", "recipe.yaml", status: 64,
        "recipe.yaml:1: mask_prob is \"1.5\", but must be a number from 0.0 to 1.0"),
      Case(
        "a list", recipe: "seed: 1\nhidden_size: [32, 64]\n", "train", "--config", "recipe.yaml", status: 64,
        "recipe.yaml:2: the value of \"hidden_size\" must be a plain value"),
      Case(
        "no data named", recipe: "seed: 1\n", "train", "--config", "recipe.yaml", status: 64,
        "no data set: give --data PATH, or `data:` in recipe.yaml"),
      Case("--set without =", "train", "--set", "seed", status: 64, "--set seed: expected key=value"),
      Case(
        "--set of an unknown key", "train", "--set", "sed=1", status: 64,
        "--set: unknown key \"sed\"; the nearest known one is \"seed\""),
      Case(
        "heads", "train", "--set", "num_attention_heads=5", status: 64, onRanks: true,
        "hidden_size 32 is not a multiple of num_attention_heads 5"),
      Case("no threads", "train", "--threads", "0", status: 64, "--threads: threads is \"0\""),
      Case("stop before the start", "train", "--stop-after", "0", status: 64, "--stop-after must be at least 1"),
      Case(
        "unknown option", "train", "--no-such-option",
        status: 64, onRanks: true, "Unknown option '--no-such-option'"),
      Case("unknown command", "trian", status: 64, "trian"),
      Case(
        "run folder is a file", data: "x", "train", "--run", "data.txt",
        status: 74, onRanks: true, "cannot write data.txt"),
      Case(
        "no checkpoint", data: "u a\nu b\n", "evaluate", "--checkpoint", "absent", "--data", "data.txt",
        status: 66, onRanks: true,
        "absent: no such folder; a checkpoint folder or a run folder is needed"),
      Case(
        "no checkpoint in a folder", data: "u a\n", "recommend", "--checkpoint", ".", "--data", "data.txt", status: 66,
        "no checkpoint in .: looked for"),
      Case(
        "nobody to recommend for", "recommend", "--checkpoint", ".", status: 64,
        "Give one of --data, --histories, --similar-items and --stream"),
      Case(
        "both kinds", "recommend", "--checkpoint", ".", "--data", "a", "--histories", "b", status: 64, onRanks: true,
        "Give one of --data, --histories, --similar-items and --stream"),
      Case(
        "no items to recommend", "recommend", "--checkpoint", ".", "--data", "a", "--top-k", "0", status: 64,
        "--top-k must be at least 1"),
      Case(
        "unknown protocol", "evaluate", "--checkpoint", ".", "--data", "a", "--protocol", "best", status: 64,
        "'best' is invalid"),
    ]

    @Test(arguments: cases) func isRefused(_ bad: Case) throws {
      try Program.withTemporaryFolder { folder in
        if let data = bad.data { try Data(data).write(to: URL(fileURLWithPath: folder + "/data.txt")) }
        if let recipe = bad.recipe {
          try recipe.write(toFile: folder + "/recipe.yaml", atomically: true, encoding: .utf8)
        }
        let before = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
        var results = [try Program.run(bad.arguments, in: folder)]
        if bad.onRanks { results.append(try Program.mpirun(ranks: 2, bad.arguments, in: folder)) }
        for result in results {
          #expect(result.status == bad.status, "\(result.errors)")
          #expect(result.output.isEmpty)
          let errors = result.errors.split(separator: "\n").filter { $0.lowercased().hasPrefix("error: ") }
          #expect(errors.count == 1 && errors[0].contains(bad.words), "\(result.errors)")
        }
        // Nothing half-made stays behind.
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == before)
      }
    }
  }

  /// Disks that are full or closed.
  @Suite struct Disk {
    static let isRoot = getuid() == 0
    /// Whether user nobody can start the program.
    static let nobodyCanRun: Bool = {
      let result = try? Program.execute("/usr/bin/env", nobody + [Program.path, "--version"])
      return result?.status == 0
    }()
    static let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    static let canMount: Bool = {
      let script = "mount -t tmpfs none /mnt"
      return isRoot && (try? Program.execute("/usr/bin/env", ["unshare", "-m", "sh", "-c", script]))?.status == 0
    }()

    @Test(.enabled(if: !isRoot || nobodyCanRun, "root may write anywhere, and user nobody cannot start the program"))
    func aFolderThatCannotBeWritten() throws {
      try Program.withTemporaryFolder { folder in
        try FileManager.default.setAttributes([.posixPermissions: 0o555], ofItemAtPath: folder)
        defer { try? FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: folder) }
        let command = (Self.isRoot ? Self.nobody : []) + [Program.path, "train", "--run", "run"]
        let result = try Program.execute("/usr/bin/env", command, in: folder)
        #expect(result.status == 74 && result.output.isEmpty)
        #expect(result.count(ofErrors: "error: cannot write run: Permission denied") == 1, "\(result.errors)")
      }
    }

    @Test(.enabled(if: canMount, "a file system of its own takes root's rights"))
    func aFullDiskLeavesTheEarlierCheckpointsGood() throws {
      try Program.withTemporaryFolder { folder in
        try TrainedDemo.writeData(to: folder + "/demo.txt")
        try FileManager.default.createDirectory(atPath: folder + "/disk", withIntermediateDirectories: true)
        let train =
          ["train", "--run", "disk/run"]
          + settings([
            "num_train_steps": 500, "save_checkpoints_steps": 10, "eval_every": 500, "keep_checkpoints": 100,
            "batch_size": 16,
          ])
        let script = """
          mount -t tmpfs -o size=1500k none disk
          "$0" "$@"; status=$?
          ls disk/run/checkpoints >&2
          "$0" evaluate --checkpoint disk/run --data demo.txt --json || exit 1
          exit $status
          """
        let result = try Program.execute(
          "/usr/bin/env", ["unshare", "-m", "bash", "-c", script, Program.path] + train, in: folder)
        #expect(result.status == 74, "\(result.errors)")
        #expect(result.count(ofErrors: "error: ") == 1, "\(result.errors)")
        let error = result.errors.split(separator: "\n").first { $0.hasPrefix("error: ") } ?? ""
        #expect(error.contains("cannot write disk/run/") && error.contains("No space left on device; failure 3 of 3 in a row"))
        #expect(result.count(ofErrors: "in a row (checkpoint_failures), training continues") == 2)
        // At least the first checkpoint found room, and can still be evaluated.
        #expect(result.errors.contains("step-00000010") && !result.errors.contains("step-00000500"))
        #expect(result.lines.last?.contains("\"ndcg@10[full]\":") == true)
      }
    }

    @Test(.enabled(if: FileManager.default.fileExists(atPath: "/dev/full"), "there is no /dev/full"))
    func resultsThatCannotBeWrittenAreNoSuccess() throws {
      let demo = try TrainedDemo.shared.get()
      for command in ["evaluate", "recommend"] {
        let result = try Program.execute(
          "/bin/sh",
          [
            "-c", "\"$0\" \"$@\" > /dev/full", Program.path, command,
            "--checkpoint", demo.run.path, "--data", demo.data,
          ])
        #expect(result.status == 74)
        #expect(result.count(ofErrors: "error: cannot write to standard output: No space left on device") == 1)
      }
    }
  }
}
