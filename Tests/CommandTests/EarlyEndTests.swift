import Foundation
import Testing

extension CommandTests {
  /// Runs that end before their last step, by patience or by time.
  @Suite struct EarlyEnd {
    /// A rate of 0: the first validation is the best one for ever.
    static let patient =
      [
        "train", "--run", "run", "--threads", "1",
      ]
      + settings([
        "learning_rate": 0, "num_train_steps": 1000, "eval_every": 5, "save_checkpoints_steps": 10, "patience": 3, "batch_size": 8,
        "gradient_shards": 4, "report_steps": 10,
      ])

    private func expectEnd(_ result: CommandResult, _ folder: String, isSaid: Bool = true) throws {
      #expect(result.status == 0, "\(result.errors)")
      let words = "the run ends at step 20 of 1000: 3 validations in a row without a better ndcg@10[full] (patience)"
      #expect(result.count(ofErrors: words) == (isSaid ? 1 : 0))
      let metrics = try String(contentsOfFile: folder + "/run/metrics.jsonl", encoding: .utf8)
      #expect(metrics.components(separatedBy: "\"split\":\"validation\"").count == 5)
      // The test is of the best state.
      #expect(metrics.contains("\"step\":5,\"split\":\"test\""))
    }

    @Test(arguments: [1, 2]) func patience(ranks: Int) throws {
      try Program.withTemporaryFolder { folder in
        func run() throws -> CommandResult {
          ranks == 1 ? try Program.run(Self.patient, in: folder) : try Program.mpirun(ranks: ranks, Self.patient, in: folder)
        }
        try expectEnd(run(), folder)
        let again = try run()
        #expect(again.status == 0 && again.errors.contains("run is finished: 20 of 1000 steps are done"))
        let further = try Program.run(Self.patient + ["--set", "patience=5"], in: folder)
        #expect(further.status == 0 && further.errors.contains("the run ends at step 30 of 1000: 5 validations"))
      }
    }

    /// Stopped between the best validation and the end, and at the end, where the final evaluation alone is left.
    @Test(arguments: [12, 20]) func patienceIsKeptOverAResume(step: Int) throws {
      try Program.withTemporaryFolder { folder in
        let first = try Program.run(Self.patient + ["--stop-after", "\(step)"], in: folder)
        #expect(first.status == 75, "\(first.errors)")
        try expectEnd(Program.run(Self.patient, in: folder), folder, isSaid: step < 20)
      }
    }

    @Test func patienceWithoutValidationsIsRefused() throws {
      let result = try Program.run(["train", "--set", "holdout=test", "--set", "patience=2"])
      #expect(result.status == 64 && result.errors.contains("patience 2 needs validations"))
    }

    @Test(arguments: [1, 2]) func time(ranks: Int) throws {
      try Program.withTemporaryFolder { folder in
        let arguments =
          [
            "train", "--run", "run", "--threads", "1",
          ] + settings(["num_train_steps": 1_000_000, "max_minutes": 0.02, "eval_every": 1_000_000, "report_steps": 1000])
        let result =
          ranks == 1 ? try Program.run(arguments, in: folder) : try Program.mpirun(ranks: ranks, arguments, in: folder)
        #expect(result.status == 0 && result.errors.contains("minutes of training are over (max_minutes)"), "\(result.errors)")
        let metrics = try String(contentsOfFile: folder + "/run/metrics.jsonl", encoding: .utf8)
        #expect(metrics.contains("\"validation\"") && metrics.contains("\"test\""))
        let again = try Program.run(arguments, in: folder)
        #expect(again.status == 0 && again.errors.contains("run is finished"), "\(again.errors)")
        // The time of earlier starts counts.
        let further = try Program.run(arguments + ["--set", "max_minutes=0.06"], in: folder)
        #expect(further.status == 0 && !further.errors.contains("is finished"), "\(further.errors)")
      }
    }

    /// Trained on everything: nothing to validate, nothing to test.
    @Test func nothingIsHeldOut() throws {
      try Program.withTemporaryFolder { folder in
        let arguments = ["train", "--run", "run", "--threads", "1"] + settings(["num_train_steps": 5, "holdout": "none"])
        let result = try Program.run(arguments, in: folder)
        #expect(result.status == 0 && result.output.contains("nothing to test it on"), "\(result.errors)")
        let metrics = try String(contentsOfFile: folder + "/run/metrics.jsonl", encoding: .utf8)
        #expect(!metrics.contains("\"split\""))
        let again = try Program.run(arguments, in: folder)
        #expect(again.status == 0 && again.errors.contains("run is finished"))
        let evaluated = try Program.run(["evaluate", "--checkpoint", "run", "--data", "builtin:demo"], in: folder)
        #expect(evaluated.status == 0 && evaluated.output.contains("trained on these very items (holdout: none)"), "\(evaluated.output)")
      }
    }
  }
}
