import Foundation
import Testing

extension CommandTests {
  /// What becomes of a run whose best checkpoint is damaged, or refused by the disk.
  @Suite struct BestCheckpoint {
    /// With a learning rate of 0 all validations are the same, and the first is the best: of step 10.
    private static let train =
      ["train", "--run", "run", "--threads", "1"]
      + settings([
        "num_train_steps": 40, "save_checkpoints_steps": 10, "eval_every": 10, "batch_size": 16, "learning_rate": 0,
      ])

    private static let readers = [
      ["evaluate", "--checkpoint", "run", "--data", "builtin:demo"],
      ["recommend", "--checkpoint", "run", "--data", "builtin:demo"],
    ]

    private func run(_ arguments: [String], ranks: Int?, in folder: String) throws -> CommandResult {
      try ranks.map { try Program.mpirun(ranks: $0, arguments, in: folder) } ?? Program.run(arguments, in: folder)
    }

    @Test(arguments: [nil, 2]) func aDamagedOneIsNamedAndTheNextBestTaken(ranks: Int?) throws {
      try Program.withTemporaryFolder { folder in
        let files = RunFiles(folder + "/run")
        #expect(try Program.run(Self.train + ["--stop-after", "30"], in: folder).status == 75)
        try #require(try files.text("checkpoints/best") == "step-00000010\n")
        try Damage.flippedByte.apply(to: folder + "/run/checkpoints/step-00000010/model.safetensors")
        let words = "checkpoint step-00000010 cannot be used and is left untouched: run/checkpoints/step-00000010/model.safetensors"
        for reader in Self.readers {
          let result = try run(reader, ranks: ranks, in: folder)
          #expect(result.status == 0 && !result.output.isEmpty, "\(result.errors)")
          #expect(result.count(ofErrors: words) == 1, "\(result.errors)")
          #expect(result.count(ofErrors: "run/checkpoints/step-00000020 is taken instead") == 1, "\(result.errors)")
        }
        let rest = try run(Self.train, ranks: ranks, in: folder)
        #expect(rest.status == 0, "\(rest.errors)")
        #expect(rest.count(ofErrors: words) == 1)
        #expect(rest.count(ofErrors: "the best checkpoint is now that of step 20, ndcg@10[full] 0.") == 1, "\(rest.errors)")
        #expect(rest.output.contains("test split, step 20, "))
        #expect(try files.text("checkpoints/best") == "step-00000020\n")
        #expect(try files.evaluation("test")["step"] as? Int == 20)
      }
    }

    /// The last checkpoint records the damaged one as the best, and there is no other with a validation.
    @Test func withoutAnyOtherTheLastStepIsTaken() throws {
      try Program.withTemporaryFolder { folder in
        let train = Self.train + settings(["eval_every": 20])
        #expect(try Program.run(train + ["--stop-after", "30"], in: folder).status == 75)
        try Damage.cutShort.apply(to: folder + "/run/checkpoints/step-00000020/model.safetensors")
        let stopped = try Program.run(train + ["--stop-after", "31"], in: folder)
        #expect(stopped.status == 75)
        #expect(stopped.count(ofErrors: "there is no best checkpoint any more; the next validation chooses one") == 1)
        #expect(!FileManager.default.fileExists(atPath: folder + "/run/checkpoints/best"))
        let rest = try Program.run(train, in: folder)
        #expect(rest.status == 0 && rest.output.contains("test split, step 40, "), "\(rest.errors)")
        #expect(try RunFiles(folder + "/run").text("checkpoints/best") == "step-00000040\n")
      }
    }

    /// The damage comes after the start, and is found at the end.
    @Test(arguments: [nil, 2]) func oneThatIsDamagedMeanwhile(ranks: Int?) throws {
      try Program.withTemporaryFolder { folder in
        let values = ["learning_rate": 0, "eval_every": 400, "save_checkpoints_steps": 400, "num_train_steps": 2000]
        let train = ["train", "--run", "run", "--threads", "1"] + settings(DiskTrouble.values.merging(values) { $1 })
        let program = try Program.start(train, ranks: ranks, in: folder)
        try program.wait(for: "step-00000400\n", in: folder + "/run/checkpoints/best")
        try Damage.flippedByte.apply(to: folder + "/run/checkpoints/step-00000400/model.safetensors")
        let end = try program.wait()
        #expect(end.status == 0, "\(end.errors)")
        #expect(end.count(ofErrors: "checkpoint step-00000400 cannot be used and is left untouched") == 1, "\(end.errors)")
        #expect(end.output.contains("test split, step 800, "), "\(end.output)")
        #expect(try RunFiles(folder + "/run").text("checkpoints/best") == "step-00000800\n")
      }
    }

    @Test func aDamagedPointerIsNamedAndSetRight() throws {
      try Program.withTemporaryFolder { folder in
        let files = RunFiles(folder + "/run")
        #expect(try Program.run(Self.train + ["--stop-after", "20"], in: folder).status == 75)
        let words = "run/checkpoints/best is damaged: it holds \"../x\", not a name such as step-00001000"
        for stop in ["30", "35"] {
          try "../x\n".write(toFile: folder + "/run/checkpoints/best", atomically: true, encoding: .utf8)
          for reader in Self.readers {
            let result = try Program.run(reader, in: folder)
            #expect(result.status == 0 && result.count(ofErrors: words) == 1, "\(result.errors)")
          }
          let next = try Program.run(Self.train + ["--stop-after", stop], in: folder)
          #expect(next.status == 75 && next.count(ofErrors: words + "; it is repaired") == 1, "\(next.errors)")
          #expect(try files.text("checkpoints/best") == "step-00000010\n")
        }
      }
    }

    /// The disk refuses the first validation's checkpoint, which is the best; the run ends as one that nobody disturbed.
    @Test(
      arguments: [(nil, [:]), (2, [:]), (1, ShardedTables.values), (3, ShardedTables.values), (2, ["table": "sharded"])]
        as [(Int?, [String: String])])
    func aRefusedOneIsWrittenLater(ranks: Int?, table: [String: String]) throws {
      try Program.withTemporaryFolder { folder in
        let train =
          ["train", "--run", "run", "--threads", "1"]
          + settings(
            DiskTrouble.values.merging([
              "learning_rate": 0, "eval_every": 400, "save_checkpoints_steps": 400, "checkpoint_failures": 9,
              "num_train_steps": 3000,
            ]) { $1 }) + settings(table)
        let program = try Program.start(train, ranks: ranks, in: folder)
        try program.wait(for: "\"step\":10,", in: folder + "/run/metrics.jsonl")
        // The writer must not find the place empty, and make a folder there.
        let writer = ranks == nil ? program.identifier : try #require(program.children.first)
        let checkpoints = folder + "/run/checkpoints"
        try Data("no folder\n".utf8).write(to: URL(fileURLWithPath: folder + "/file"))
        kill(writer, SIGSTOP)
        #expect(rename(checkpoints, folder + "/aside") == 0 && rename(folder + "/file", checkpoints) == 0)
        kill(writer, SIGCONT)
        try program.waitForMessage("the best so far, is kept in memory")
        kill(writer, SIGSTOP)
        #expect(rename(checkpoints, folder + "/file") == 0 && rename(folder + "/aside", checkpoints) == 0)
        kill(writer, SIGCONT)
        let end = try program.wait()
        #expect(end.status == 0, "\(end.status): \(end.errors)")
        #expect(end.count(ofErrors: "the state of step 400, the best so far, is kept in memory") == 1, "\(end.errors)")
        #expect(end.count(ofErrors: "the state of step 400, the best so far, is written") == 1, "\(end.errors)")
        let files = RunFiles(folder + "/run")
        #expect(try files.text("checkpoints/best") == "step-00000400\n")
        #expect(try files.evaluation("test")["step"] as? Int == 400)
        for reader in Self.readers { #expect(try Program.run(reader, in: folder).status == 0) }
      }
    }
  }
}
