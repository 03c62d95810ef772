import Foundation
import Testing

extension CommandTests {
  /// Reports are completed while the next step is under way.
  @Suite struct Reports {
    private static let arguments =
      ["train", "--run", "run", "--threads", "2"]
      + settings([
        "num_train_steps": 12, "save_checkpoints_steps": 1, "eval_every": 6, "report_steps": 1, "batch_size": 16, "keep_checkpoints": 20,
      ])

    /// Each line has the hash of its own step, and all are there and in order, also when the run is stopped in between.
    @Test(arguments: [nil, 2]) func everyLineHasTheHashOfItsStep(ranks: Int?) throws {
      try Program.withTemporaryFolder { folder in
        let run = RunFiles(folder + "/run")
        func train(_ more: [String] = []) throws -> CommandResult {
          try ranks.map { try Program.mpirun(ranks: $0, Self.arguments + more, in: folder) }
            ?? Program.run(Self.arguments + more, in: folder)
        }
        #expect(try train(["--stop-after", "5"]).status == 75)
        #expect(try run.reportedSteps == Array(1...5))
        #expect(try train().status == 0)
        let steps = try run.lines.map { try #require($0["step"] as? Int) }
        #expect(steps.prefix(14) == [1, 2, 3, 4, 5, 6, 6, 7, 8, 9, 10, 11, 12, 12], "\(steps)")
        for line in try run.lines where line["loss"] != nil {
          let step = try #require(line["step"] as? Int)
          let name = "step-" + String(repeating: "0", count: 8 - "\(step)".count) + "\(step)"
          let trainer = try Data(contentsOf: URL(fileURLWithPath: run.path + "/checkpoints/\(name)/trainer.json"))
          let recorded = try #require(try JSONSerialization.jsonObject(with: trainer) as? [String: Any])
          #expect(line["parameter_hash"] as? String == recorded["parameter_hash"] as? String, "step \(step)")
        }
      }
    }
  }
}
