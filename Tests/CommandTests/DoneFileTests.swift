import Foundation
import Testing

extension CommandTests {
  /// BERT4REC_DONE_FILE: made by the first rank as the last thing it does before it leaves with 0.
  @Suite struct DoneFiles {
    private static let train = ["train", "--run", "run", "--threads", "1"] + settings(["num_train_steps": 20])

    @Test(arguments: [nil, 2]) func itIsThereWhenTheCommandIsDone(ranks: Int?) throws {
      try Program.withTemporaryFolder { folder in
        let mark = folder + "/done"
        func run(_ arguments: [String], mark: String) throws -> CommandResult {
          let environment = ["BERT4REC_DONE_FILE": mark]
          return try ranks.map { try Program.mpirun(ranks: $0, arguments, environment: environment, in: folder) }
            ?? Program.run(arguments, environment: environment, in: folder)
        }
        let isThere = { FileManager.default.fileExists(atPath: mark) }
        #expect(try run(Self.train + ["--stop-after", "10"], mark: mark).status == 75)
        #expect(try run(["train", "--set", "no_such_key=1"], mark: mark).status == 64)
        #expect(!isThere())
        let commands = [
          Self.train, Self.train, ["--version"], ["train", "--help"],
          ["evaluate", "--checkpoint", "run", "--data", "builtin:demo"],
        ]
        for arguments in commands {
          let result = try run(arguments, mark: mark)
          #expect(result.status == 0 && isThere(), "\(arguments): \(result.errors)")
          try FileManager.default.removeItem(atPath: mark)
        }
        // Where it cannot be made, nobody must take the run for unfinished and not know why.
        let nowhere = try run(Self.train, mark: folder + "/no/such/done")
        #expect(nowhere.status == 74 && nowhere.count(ofErrors: "(BERT4REC_DONE_FILE) cannot be made: ") == 1)
      }
    }

    /// It would tell of another run.
    @Test(arguments: [nil, 2]) func anOldOneIsRefused(ranks: Int?) throws {
      try Program.withTemporaryFolder { folder in
        try "mine".write(toFile: folder + "/old", atomically: false, encoding: .utf8)
        let environment = ["BERT4REC_DONE_FILE": folder + "/old"]
        let result =
          try ranks.map { try Program.mpirun(ranks: $0, Self.train, environment: environment, in: folder) }
          ?? Program.run(Self.train, environment: environment, in: folder)
        #expect(result.status == 64 && result.count(ofErrors: "error: BERT4REC_DONE_FILE must name a file that is not") == 1)
        #expect(try String(contentsOfFile: folder + "/old", encoding: .utf8) == "mine")
        #expect(!FileManager.default.fileExists(atPath: folder + "/run/metrics.jsonl"))
      }
    }
  }
}
