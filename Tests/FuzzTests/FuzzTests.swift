import Foundation
import TestSupport
import Testing

/// Damaged inputs, by the thousand, through every reader of the package, in processes of their own: `fuzz-probe` says
/// which input ended one. BERT4REC_FUZZ_INPUTS sets how many a target gets, BERT4REC_FUZZ_SEED which.
@Suite(.serialized) struct FuzzTests {
  static let targets = [
    "pairs", "pairs-tab", "u.data", "ratings.dat", "ratings.csv", "quoted.csv", "inter", "table.tsv", "amazon",
    "semicolons", "clicks", "spaces", "backslash.csv", "quoted.tsv", "check-ins", "taobao", "words.csv", "two-times.csv", "lists",
    "bracketed", "recbole-lists", "netflix", "json-lines", "json-array", "events", "python", "any-table", "histories", "predictions",
    "titles",
    "gzip", "zstd", "xz", "bzip2", "zip", "tar", "repacked",
    "prepared-manifest.json", "prepared-items.tsv",
    "prepared-users.tsv", "prepared-sequences.bin", "checkpoint-config.json", "checkpoint-items.tsv",
    "checkpoint-model.safetensors", "checkpoint-optimizer.safetensors", "checkpoint-trainer.json", "run-folder",
    "safetensors", "items.tsv", "latest-and-best", "metrics.jsonl", "hugging-face-folder",
    "tensorflow-checkpoint", "tensorflow-index", "tfrecord", "tfrecord-example", "tfrecord-instances", "json", "configuration", "settings",
    "stream",
  ]

  @Test func noTargetIsForgotten() throws {
    let listed = try Probe.run(["--list"])
    #expect(listed.status == 0)
    #expect(listed.output.split(separator: "\n").map(String.init) == Self.targets)
  }

  @Test(arguments: targets) func survives(target: String) throws {
    let environment = ProcessInfo.processInfo.environment
    let result = try Probe.run([
      target, "--inputs", environment["BERT4REC_FUZZ_INPUTS"] ?? "1000", "--seed",
      environment["BERT4REC_FUZZ_SEED"] ?? "1",
    ])
    #expect(result.status == 0, "\(result.output)")
    #expect(!result.output.contains("FAULT"))
    // Good inputs are among them, so a reader that refuses everything is noticed.
    let accepted = try #require(result.output.firstMatch(of: /accepted (\d+)/)?.1)
    #expect(Int(accepted) ?? 0 > 0, "\(result.output)")
  }

  /// An input depends on nothing but its target, seed and number.
  @Test func anInputIsRepeatedByItsNumber() throws {
    let first = try Probe.run(["u.data", "--seed", "3", "--number", "41"])
    #expect(first.status == 0 && first.output.contains(" bytes: "))
    #expect(try Probe.run(["u.data", "--seed", "3", "--number", "41"]).output.prefix(200) == first.output.prefix(200))
    #expect(try Probe.run(["u.data", "--seed", "3", "--number", "42"]).output.prefix(200) != first.output.prefix(200))
    #expect(try Probe.run(["no-such-target"]).status == 64)
  }
}

extension FuzzTests {
  /// Neither what a wrong name, nor what a good one makes.
  @Test(arguments: [["no-such-target"], ["json", "--number", "1", "json"], ["--list"], ["json", "--inputs", "10"]])
  func nothingIsLeft(arguments: [String]) throws {
    try TemporaryFolder.with { folder in
      _ = try Probe.run(arguments, environment: ["TMPDIR": folder])
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }
  }
}

/// `fuzz-probe`, beside the test bundle.
enum Probe {
  static func run(
    _ arguments: [String], environment: [String: String] = [:]
  ) throws -> (status: Int32, output: String) {
    let result = try Command.execute(Command.built("fuzz-probe"), arguments, environment: environment)
    return (result.status, result.output + result.errors)
  }
}
