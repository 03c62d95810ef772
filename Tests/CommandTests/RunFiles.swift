import BERT4RecDist
import Foundation
import Testing

/// A run folder as a script would read it.
struct RunFiles {
  let path: String

  init(_ path: String) { self.path = path }

  /// Lines of metrics.jsonl.
  var lines: [[String: Any]] {
    get throws {
      try String(contentsOfFile: path + "/metrics.jsonl", encoding: .utf8).split(separator: "\n").map {
        try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
      }
    }
  }

  /// Lines of metrics.jsonl without what depends on the machine, in order, as comparable text.
  var comparableLines: [String] { get throws { try comparableLines(leavingOut: []) } }

  /// The same without some more.
  func comparableLines(leavingOut others: [String]) throws -> [String] {
    let leftOut =
      others + [
        "seconds", "instances_per_s", "tokens_per_s", "work_seconds_median", "work_seconds_slowest", "slowest_rank", "slowest_host",
      ]
    return try lines.map { line in
      let timeless = line.filter {
        !leftOut.contains($0.key) && !$0.key.hasPrefix("phase/") && !$0.key.hasPrefix("work_seconds/")
      }
      return String(decoding: try JSONSerialization.data(withJSONObject: timeless, options: [.sortedKeys]), as: UTF8.self)
    }
  }

  /// Steps of the reports, in order.
  var reportedSteps: [Int] { get throws { try lines.filter { $0["loss"] != nil }.compactMap { $0["step"] as? Int } } }

  /// Hash of the parameters after the last step.
  var hash: String {
    get throws { try #require(try lines.last { $0["parameter_hash"] != nil }?["parameter_hash"] as? String) }
  }

  /// That of the last checkpoint: lines of a run with a sharded table have none.
  var checkpointHash: String {
    get throws { try TrainerState.read("\(path)/checkpoints/\(try #require(try checkpoints.last))").parameterHash }
  }

  /// The evaluation line of a split: the last one.
  func evaluation(_ split: String) throws -> [String: Any] {
    try #require(try lines.last { $0["split"] as? String == split })
  }

  var checkpoints: [String] {
    get throws {
      let names = try FileManager.default.contentsOfDirectory(atPath: path + "/checkpoints")
      return names.filter { $0.hasPrefix("step-") }.sorted()
    }
  }

  func text(_ file: String) throws -> String { try String(contentsOfFile: path + "/" + file, encoding: .utf8) }
}

/// `--set` options.
func settings(_ settings: [String: Any]) -> [String] {
  settings.sorted { $0.key < $1.key }.flatMap { ["--set", "\($0.key)=\($0.value)"] }
}

/// Damages a file.
enum Damage: CaseIterable {
  case cutShort, flippedByte

  func apply(to path: String) throws {
    var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    switch self {
    case .cutShort: bytes.removeLast(5)
    case .flippedByte: bytes[bytes.count * 2 / 3] ^= 0x10
    }
    try bytes.write(to: URL(fileURLWithPath: path))
  }
}

/// The whole demo, trained once for all tests that need a model which has learnt something, and its data as a file.
struct TrainedDemo: Sendable {
  let folder: String
  let result: (status: Int32, output: String, errors: String)

  var run: RunFiles { RunFiles(folder + "/runs/demo") }
  var data: String { folder + "/demo.txt" }

  static let shared = Result { try TrainedDemo() }

  private init() throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("bert4rec-demo-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    atexit {
      if case .success(let demo) = TrainedDemo.shared { try? FileManager.default.removeItem(atPath: demo.folder) }
    }
    try Self.writeData(to: folder + "/demo.txt")
    let trained = try Program.run(["train"], in: folder)
    result = (trained.status, trained.output, trained.errors)
  }

  static func writeData(to path: String) throws { try PairsFile.write(DemonstrationData.make(), to: path) }

  /// A copy of the run's best checkpoint that may be damaged.
  func copyCheckpoint(to path: String) throws {
    let best = try run.text("checkpoints/best").trimmingCharacters(in: .newlines)
    try FileManager.default.copyItem(atPath: run.path + "/checkpoints/" + best, toPath: path)
  }
}
