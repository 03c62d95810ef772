import Foundation
import Testing

extension CommandTests {
  /// `Tests/Reference/read_tensorboard.py` reads the same with TensorBoard itself.
  @Suite struct TensorBoard {
    /// The messages of a file's whole records.
    private func records(_ path: String) throws -> [Data] {
      var (rest, messages) = (try Data(contentsOf: URL(fileURLWithPath: path)), [Data]())
      while !rest.isEmpty {
        try #require(rest.count >= 16)
        let length = rest.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        try #require(rest.count >= 16 + length)
        messages.append(Data(rest.dropFirst(12).prefix(length)))
        rest = Data(rest.dropFirst(16 + length))
      }
      return messages
    }

    private func files(_ folder: String) throws -> [String] {
      try FileManager.default.contentsOfDirectory(atPath: folder + "/run/tensorboard").sorted().map { folder + "/run/tensorboard/" + $0 }
    }

    @Test func everyLineOfTheMetricsIsAnEventAlsoOfAResumedRun() throws {
      try Program.withTemporaryFolder { folder in
        let run = RunFiles(folder + "/run")
        let more = settings(["num_train_steps": 12, "save_checkpoints_steps": 6, "report_steps": 2, "batch_size": 16])
        let first = try Program.run(["train", "--run", "run", "--tensorboard", "--stop-after", "7"] + more, in: folder)
        #expect(first.status == 75, "\(first.errors)")
        let before = try run.lines.count
        // That it is wanted is taken from the run.
        let second = try Program.run(["train", "--run", "run"], in: folder)
        #expect(second.status == 0, "\(second.errors)")
        let paths = try files(folder)
        #expect(paths.count == 2)
        let events = try paths.map(records)
        #expect(events.map(\.count) == [1 + before, 2 + (try run.lines.count) - before])
        for file in events { #expect(file[0].range(of: Data("brain.Event:2".utf8)) != nil) }
        for tag in ["train/loss", "train/gradient_norm"] { #expect(events[0][1].range(of: Data(tag.utf8)) != nil) }
        for tag in ["test/ndcg@10[full]", "test/popularity/mrr[uniform100]"] {
          #expect(try #require(events[1].last).range(of: Data(tag.utf8)) != nil)
        }
      }
    }

    @Test func whatStandsInTheWayIsNamed() throws {
      try Program.withTemporaryFolder { folder in
        try FileManager.default.createDirectory(atPath: folder + "/run", withIntermediateDirectories: true)
        try Data().write(to: URL(fileURLWithPath: folder + "/run/tensorboard"))
        let result = try Program.run(["train", "--run", "run", "--tensorboard"] + settings(["num_train_steps": 2]), in: folder)
        #expect(result.status == 74 && result.errors.contains("run/tensorboard"), "\(result.status) \(result.errors)")
      }
    }

    @Test func withoutTheWordNothingIsWritten() throws {
      let demo = try TrainedDemo.shared.get()
      #expect(!FileManager.default.fileExists(atPath: demo.run.path + "/tensorboard"))
    }
  }
}
