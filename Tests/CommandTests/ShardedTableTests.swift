import BERT4RecDist
import Foundation
import TestSupport
import Testing

extension CommandTests {
  /// `table: sharded`: each rank has a part of the rows. A catalogue of several blocks of rows, so that each rank of three has some; of
  /// eight not every one has.
  @Suite struct ShardedTables {
    /// For runs of other suites.
    static let values = ["loss": "sampled", "negatives": "20", "table": "sharded"]

    static let losses: [[String: String]] = [
      ["loss": "sampled", "table_adam": "lazy"],
      ["loss": "sampled", "negatives_per": "position", "negative_sampling": "popularity", "negatives": "20"],
      ["loss": "gbce", "negatives": "40"],
      ["loss": "full"],
      ["loss": "sce", "sce_bucket_items": "30"],
      ["loss": "sce", "sce_buckets": "3", "table_adam": "lazy"],
    ]
    /// Of the two ways in which rows come to ranks: dealt, and neighbours.
    private static let bothWays = [0, 3]

    static func arguments(_ more: [String: String]) -> [String] {
      ["train", "--data", "pairs.txt", "--run", "run"]
        + settings(
          [
            "num_train_steps": "6", "num_warmup_steps": "0", "batch_size": "24", "max_seq_length": "6", "hidden_size": "8",
            "num_attention_heads": "2", "intermediate_size": "12", "holdout": "none", "save_checkpoints_steps": "3", "report_steps": "1",
            "verify_every": "2",
          ].merging(more) { $1 })
    }

    static let sharded: [String: String] = ["table": "sharded"]

    static func withData<R>(_ body: (String) throws -> R) throws -> R {
      try Program.withTemporaryFolder { folder in
        try GeneratedPairs.write(users: 9000, items: 40_000, to: folder + "/pairs.txt")
        return try body(folder)
      }
    }

    /// Trains, and what the last checkpoint is.
    @discardableResult
    private func train(
      ranks: Int?, threads: Int = 1, _ settings: [String: String], _ options: [String] = [], status: Int32 = 0, in folder: String
    ) throws -> (errors: String, files: [Data]) {
      let arguments = Self.arguments(settings) + ["--threads", "\(threads)"] + options
      let result = try ranks.map { try Program.mpirun(ranks: $0, arguments, in: folder) } ?? Program.run(arguments, in: folder)
      try #require(result.status == status, "\(result.errors)")
      #expect(!result.errors.contains("go back"), "\(result.errors)")
      return (result.errors, try Self.files(folder + "/run"))
    }

    /// Parameters and moments of the last checkpoint, which is whole.
    private static func files(_ run: String) throws -> [Data] {
      let checkpoint = try #require(try RunFiles(run).checkpoints.last)
      _ = try CheckpointReader.open("\(run)/checkpoints/\(checkpoint)", withMoments: true)
      return try ["model", "optimizer"].map {
        try Data(contentsOf: URL(fileURLWithPath: "\(run)/checkpoints/\(checkpoint)/\($0).safetensors"))
      }
    }

    @Test(arguments: losses.indices) func sameBitsAndFilesAsReplicated(_ index: Int) throws {
      let loss = Self.losses[index]
      try Self.withData { folder in
        let run = folder + "/run"
        let whole = try train(ranks: nil, loss, in: folder).files
        let vocabulary = try CheckpointReader.open(run + "/checkpoints/step-00000006").configuration.vocabularySize
        // Rows for each of five ranks.
        try #require(vocabulary > 5 * 4096)
        for (ranks, threads) in [(nil, 2), (1, 1), (2, 1), (3, 2), (4, 1), (8, 1)] as [(Int?, Int)] {
          try FileManager.default.removeItem(atPath: run)
          let part = try train(ranks: ranks, threads: threads, loss.merging(Self.sharded) { $1 }, in: folder)
          #expect(part.files == whole, "\(ranks ?? 0) ranks")
          #expect(part.errors.contains("rows of other ranks ") == ((ranks ?? 1) > 1), "\(part.errors)")
        }
        try FileManager.default.removeItem(atPath: run)
        #expect(try train(ranks: 3, loss, in: folder).files == whole)
      }
    }

    /// The key may change on resume, and the number of ranks, in either direction.
    @Test(arguments: [("sharded", "replicated"), ("replicated", "sharded"), ("sharded", "sharded")], bothWays)
    func resumedOtherwise(_ tables: (first: String, then: String), _ way: Int) throws {
      let (first, then) = tables
      let loss = Self.losses[way == 0 && first == then ? 1 : way]
      try Self.withData { folder in
        let whole = try train(ranks: nil, loss, in: folder).files
        try FileManager.default.removeItem(atPath: folder + "/run")
        func with(_ table: String) -> [String: String] { loss.merging(["table": table]) { $1 } }
        try train(ranks: 3, with(first), ["--stop-after", "2"], status: 75, in: folder)
        try train(ranks: 2, with(then), ["--stop-after", "4"], status: 75, in: folder)
        #expect(try train(ranks: first == "sharded" ? nil : 4, with(then), in: folder).files == whole)
      }
    }

    /// Lines of evaluations, without what depends on the time that passes.
    private static func evaluations(_ run: String) throws -> [Substring] {
      let lines = try String(contentsOfFile: run + "/metrics.jsonl", encoding: .utf8).split(separator: "\n")
      return lines.filter { $0.contains("\"split\"") || $0.contains("\"users\"") }
    }

    /// Validations in training and the test at its end, of held-out items: the same digits, table and best checkpoint.
    @Test(arguments: bothWays) func sameEvaluationsAsReplicated(_ way: Int) throws {
      try Program.withTemporaryFolder { folder in
        try GeneratedPairs.write(users: 2100, items: 13_000, to: folder + "/pairs.txt")
        let common = Self.losses[way].merging(["holdout": "test+validation", "validation_users": "700", "eval_every": "3"]) { $1 }
        func run(ranks: Int?, threads: Int, _ table: String) throws -> (output: String, lines: [Substring], files: [Data]) {
          try? FileManager.default.removeItem(atPath: folder + "/run")
          let arguments = Self.arguments(common.merging(["table": table]) { $1 }) + ["--threads", "\(threads)"]
          let result = try ranks.map { try Program.mpirun(ranks: $0, arguments, in: folder) } ?? Program.run(arguments, in: folder)
          try #require(result.status == 0, "\(result.errors)")
          return (result.output, try Self.evaluations(folder + "/run"), try Self.files(folder + "/run"))
        }
        let whole = try run(ranks: nil, threads: 1, "replicated")
        #expect(whole.lines.count == 3 && whole.output.contains("uniform100"))
        for (ranks, threads) in [(nil, 1), (2, 2), (3, 1), (5, 1)] as [(Int?, Int)] {
          let part = try run(ranks: ranks, threads: threads, "sharded")
          #expect(part.output == whole.output && part.lines == whole.lines && part.files == whole.files, "\(ranks ?? 0) ranks")
        }
      }
    }

    /// Lists against what users did behind a split by time.
    @Test(arguments: bothWays) func sameListsAsReplicated(_ way: Int) throws {
      try Program.withTemporaryFolder { folder in
        var text = "user,item,timestamp\n"
        for user in 0..<900 {
          for place in 0..<12 { text += "u\(user),i\((user &* 7919 &+ place &* 1009) % 9000),\(1_000_000_000 + place * 1000 + user)\n" }
        }
        try Data(text.utf8).write(to: URL(fileURLWithPath: folder + "/rows.csv"))
        func run(ranks: Int?, _ table: String) throws -> (output: String, lines: [Substring]) {
          try? FileManager.default.removeItem(atPath: folder + "/run")
          var arguments = Self.arguments(Self.losses[way].merging(["holdout": "test", "table": table]) { $1 })
          arguments[2] = "rows.csv"
          arguments += ["--split-time", "1000009000", "--threads", "1"]
          let result = try ranks.map { try Program.mpirun(ranks: $0, arguments, in: folder) } ?? Program.run(arguments, in: folder)
          try #require(result.status == 0, "\(result.errors)")
          return (result.output, try Self.evaluations(folder + "/run"))
        }
        let whole = try run(ranks: nil, "replicated")
        #expect(whole.lines.count == 1 && whole.output.contains("coverage"))
        for ranks in [2, 3] {
          let part = try run(ranks: ranks, "sharded")
          #expect(part.output == whole.output && part.lines == whole.lines, "\(ranks) ranks")
        }
      }
    }

    /// Rows that an earlier model knows come to their owners, their moments too.
    @Test(arguments: bothWays) func beginsFromAnotherModel(_ way: Int) throws {
      let loss = Self.losses[way]
      try Self.withData { folder in
        try train(ranks: nil, loss, in: folder)
        try FileManager.default.moveItem(atPath: folder + "/run", toPath: folder + "/old")
        try GeneratedPairs.write(users: 7000, items: 45_000, to: folder + "/pairs.txt")
        let options = ["--init-checkpoint", "old", "--keep-moments"]
        let whole = try train(ranks: nil, loss, options, in: folder)
        #expect(whole.errors.contains("moments kept"))
        try FileManager.default.removeItem(atPath: folder + "/run")
        #expect(try train(ranks: 3, loss.merging(Self.sharded) { $1 }, options, in: folder).files == whole.files)
      }
    }

    /// Enough steps to be disturbed in, with a checkpoint after each second one.
    private static func long(_ way: Int) -> [String: String] {
      losses[way].merging(sharded) { $1 }.merging(["num_train_steps": way == 0 ? "60" : "30", "save_checkpoints_steps": "2"]) { $1 }
    }

    private static let undisturbed = bothWays.reduce(into: [Int: Result<[Data], any Error>]()) { $0[$1] = undisturbed($1) }

    private static func undisturbed(_ way: Int) -> Result<[Data], any Error> {
      Result {
        try withData { folder in
          let result = try Program.run(arguments(long(way).merging(["table": "replicated"]) { $1 }) + ["--threads", "1"], in: folder)
          try #require(result.status == 0, "\(result.errors)")
          return try files(folder + "/run")
        }
      }
    }

    /// Ranks or mpirun killed by -9, in steps and in checkpoints: what has a checkpoint's name is one, and the run ends with the same files.
    @Test(arguments: bothWays) func killedAgainAndAgain(_ way: Int) throws {
      try Self.withData { folder in
        var random = SeededGenerator(seed: 15)
        let run = RunFiles(folder + "/run")
        for round in 0..<8 {
          let ranks = [2, 3, 4][round % 3]
          let before = (try? run.checkpoints.last) ?? ""
          let program = try Program.start(Self.arguments(Self.long(way)) + ["--threads", "1"], ranks: ranks, in: folder)
          let deadline = Date().addingTimeInterval(60)
          while program.isRunning, Date() < deadline, ((try? run.checkpoints.last) ?? "") == before { usleep(2000) }
          usleep(UInt32.random(in: 0..<60_000, using: &random))
          let processes = program.children
          kill(round % 4 == 3 || processes.count < ranks ? program.identifier : processes[round % ranks], SIGKILL)
          _ = try program.wait()
          // Ranks outlive a killed mpirun for a moment.
          for process in processes { #expect(ends(process)) }
          for name in try run.checkpoints { _ = try CheckpointReader.open("\(run.path)/checkpoints/\(name)", withMoments: true) }
        }
        let (files, undisturbed) = (try train(ranks: 3, Self.long(way), in: folder).files, try Self.undisturbed[way]?.get())
        let same = files == undisturbed
        #expect(same)
      }
    }

    /// A rank freezes in the middle of a validation, in which all wait for its tiles: it is named, and the run ends with the same files.
    @Test(arguments: bothWays) func aRankFreezesInAValidation(_ way: Int) throws {
      try Self.withData { folder in
        let common = Self.losses[way].merging(["holdout": "test+validation", "eval_every": "3", "stall_timeout": "2"]) { $1 }
        let whole = try train(ranks: nil, common, in: folder).files
        let run = RunFiles(folder + "/run")
        try FileManager.default.removeItem(atPath: run.path)
        let program = try Program.start(Self.arguments(common.merging(Self.sharded) { $1 }) + ["--threads", "1"], ranks: 3, in: folder)
        let deadline = Date().addingTimeInterval(60)
        while program.isRunning, Date() < deadline, !program.errorText.contains("validation of step 3 begins") { usleep(500) }
        let processes = program.children
        try #require(processes.count == 3)
        kill(processes[1], SIGSTOP)
        let end = try program.wait()
        #expect(end.status != 0 && end.status != 75 && end.count(ofErrors: "error: rank 1 on host ") == 1, "\(end.errors)")
        #expect(try run.lines.allSatisfy { $0["split"] == nil })
        for process in processes { #expect(ends(process), "process \(process) is left") }
        let same = try train(ranks: 2, common.merging(Self.sharded) { $1 }, in: folder).files == whole
        #expect(same)
      }
    }

    /// The disk takes half of the parameters: rank 0 says so, once, nothing half-written stays, and the run goes on when it takes all.
    @Test(arguments: bothWays) func aDiskThatTakesHalfOfATable(_ way: Int) throws {
      try Self.withData { folder in
        let run = RunFiles(folder + "/run")
        let arguments = Self.arguments(Self.long(way).merging(["checkpoint_failures": "2"]) { $1 }) + ["--threads", "1"]
        for _ in 0..<2 {
          // Of the ranks alone, and without MPI's own files of shared memory.
          let result = try Program.execute(
            "/usr/bin/env", ["mpirun", "-np", "3", "/bin/bash", "-c", "ulimit -f 500; exec \"$@\"", "bash", Program.path] + arguments,
            environment: Program.mpiEnvironment.merging(["OMPI_MCA_btl": "tcp,self"]) { $1 }, in: folder)
          #expect(result.status == 74, "\(result.errors)")
          #expect(result.count(ofErrors: "failure 1 of 2 in a row (checkpoint_failures), training continues") == 1, "\(result.errors)")
          #expect(result.count(ofErrors: "error: ") == 1 && result.errors.contains("File too large"), "\(result.errors)")
          #expect(try run.checkpoints.isEmpty)
        }
        let (files, undisturbed) = (try train(ranks: 2, Self.long(way), in: folder).files, try Self.undisturbed[way]?.get())
        let same = files == undisturbed
        #expect(same)
      }
    }

    /// Addresses of all rows on each rank, where they are limited: said once, and nothing hangs.
    @Test func tooFewAddresses() throws {
      try Self.withData { folder in
        let arguments = Self.arguments(["loss": "sampled", "table": "sharded", "hidden_size": "4096", "table_adam": "lazy"])
        for ranks in [1, 8] {
          let result = try Program.execute(
            "/bin/bash", ["-c", "ulimit -v 900000; exec timeout -k 1 120 mpirun -np \(ranks) \"$@\"", "bash", Program.path] + arguments,
            environment: Program.mpiEnvironment, in: folder)
          #expect(result.status == 64 || result.status == 70, "\(result.errors)")
          #expect(result.count(ofErrors: "error: ") == 1 && result.errors.contains("ulimit -v"), "\(result.errors)")
        }
      }
    }
  }
}
