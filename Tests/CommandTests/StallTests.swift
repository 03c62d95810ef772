import Foundation
import Testing

extension CommandTests {
  /// Ranks that stop moving: the run ends by itself, names the rank that stalled, and resumes when it is started again.
  @Suite struct Stall {
    static let arguments =
      ["train", "--run", "run", "--threads", "1"]
      + settings([
        "num_train_steps": 400, "save_checkpoints_steps": 20, "report_steps": 10, "batch_size": 128, "eval_every": 400,
        "stall_timeout": 2,
      ])

    private static let undisturbed = Result {
      try Program.withTemporaryFolder { folder in
        try #require(try Program.run(arguments, in: folder).status == 0)
        return try RunFiles(folder + "/run").hash
      }
    }

    /// Freezes ranks under mpirun in the middle of training, or all of them for a while.
    private func freeze(_ ranks: [Int], of size: Int, _ check: (CommandResult) throws -> Void) throws {
      try Program.withTemporaryFolder { folder in
        let run = RunFiles(folder + "/run")
        let program = try Program.start(Self.arguments, ranks: size, in: folder)
        try program.wait(for: "\"step\":200,", in: run.path + "/metrics.jsonl")
        let processes = program.children
        try #require(processes.count == size)
        for rank in ranks { kill(processes[rank], SIGSTOP) }
        let end = try program.wait()
        #expect(end.status != 0 && end.status != 75, "\(end.status): \(end.errors)")
        try check(end)
        for process in processes { #expect(ends(process), "process \(process) is left") }
        let rest = try Program.mpirun(ranks: 2, Self.arguments, in: folder)
        #expect(rest.status == 0, "\(rest.errors)")
        #expect(try run.hash == Self.undisturbed.get())
      }
    }

    /// The second process of the start never calls MPI, as one that died in time, or whose host cannot be reached.
    @Test func aStartThatNeverCompletesEnds() throws {
      func start(_ limit: String) throws -> CommandResult {
        try Program.withTemporaryFolder { folder in
          try Program.execute(
            "/usr/bin/env", ["mpirun", "-np", "1", Program.path] + Self.arguments + [":", "-np", "1", "sleep", "60"],
            environment: Program.mpiEnvironment.merging(["BERT4REC_START_TIMEOUT": limit]) { $1 }, in: folder)
        }
      }
      let end = try start("2")
      #expect(end.status == 70 || end.status == 137, "\(end.status): \(end.errors)")
      #expect(end.count(ofErrors: "error: MPI has not begun within 2 s (MPI_Init on host ") == 1, "\(end.errors)")
      let refused = try start("soon")
      #expect(refused.status == 64 && refused.count(ofErrors: "error: BERT4REC_START_TIMEOUT must be ") == 1, "\(refused.errors)")
    }

    @Test(arguments: [1, 2]) func aFrozenRankIsNamed(rank: Int) throws {
      try freeze([rank], of: 3) { end in
        let lines = end.errors.split(separator: "\n").filter { $0.hasPrefix("error: ") }
        let line = try #require(lines.first)
        #expect(lines.count == 1)
        #expect(line.hasPrefix("error: rank \(rank) on host "))
        #expect(line.contains("has not been heard from for") && line.contains(" s; last step 2"), "\(line)")
        #expect(line.contains("run the same command again: it resumes from the checkpoint of step "))
      }
    }

    @Test func aFrozenRankZeroIsNamedByAnother() throws {
      try freeze([0], of: 3) { end in
        let lines = end.errors.split(separator: "\n").filter { $0.hasPrefix("error: ") }
        #expect(lines.count == 1 && lines[0].hasPrefix("error: rank 0 on host "), "\(end.errors)")
      }
    }

    /// Time in which everything stood still (Ctrl-Z, a suspended machine) is not held against anybody.
    @Test(arguments: [nil, 2]) func aSuspendedRunGoesOn(ranks: Int?) throws {
      try Program.withTemporaryFolder { folder in
        let run = RunFiles(folder + "/run")
        let program = try Program.start(Self.arguments, ranks: ranks, in: folder)
        try program.wait(for: "\"step\":200,", in: run.path + "/metrics.jsonl")
        let processes = ranks == nil ? [] : program.children
        program.send(SIGSTOP)
        for process in processes { kill(process, SIGSTOP) }
        sleep(4)
        for process in processes { kill(process, SIGCONT) }
        program.send(SIGCONT)
        let end = try program.wait()
        #expect(end.status == 0, "\(end.errors)")
        #expect(try run.hash == Self.undisturbed.get())
      }
    }

    /// Another rank misses rank 0, and nothing comes of it.
    @Test func aRankZeroThatIsBackInTimeDoesNoHarm() throws {
      try Program.withTemporaryFolder { folder in
        let program = try Program.start(Self.arguments + settings(["stall_timeout": 8]), ranks: 2, in: folder)
        try program.wait(for: "\"step\":200,", in: folder + "/run/metrics.jsonl")
        let first = try #require(program.children.first)
        kill(first, SIGSTOP)
        sleep(5)
        kill(first, SIGCONT)
        let end = try program.wait()
        #expect(end.status == 0 && end.count(ofErrors: "error: ") == 0, "\(end.errors)")
        #expect(try RunFiles(folder + "/run").hash == Self.undisturbed.get())
      }
    }

    @Test func theSlowestRankIsReported() throws {
      try Program.withTemporaryFolder { folder in
        let result = try Program.mpirun(ranks: 3, ["train"] + settings(["num_train_steps": 20]), in: folder)
        #expect(result.status == 0 && result.errors.contains(" s, slowest "), "\(result.errors)")
        let line = try #require(try RunFiles(folder + "/runs/demo").lines.first)
        let (median, slowest) = (line["work_seconds_median"] as? Double, line["work_seconds_slowest"] as? Double)
        #expect(try #require(median) > 0 && #require(slowest) >= #require(median))
        #expect([0, 1, 2].contains(line["slowest_rank"] as? Int))
        #expect((line["slowest_host"] as? String)?.isEmpty == false)
      }
    }

    // MARK: - What is slow, but no standstill

    /// Users enough that parts of an evaluation which one rank does alone take longer than `stall_timeout`.
    private static func writeUsers(_ path: String) throws {
      try GeneratedPairs.write(users: 20_000, items: 20_000, to: path)
    }

    @Test func aLongEvaluationIsNoStandstill() throws {
      try Program.withTemporaryFolder { folder in
        try Self.writeUsers(folder + "/pairs.txt")
        let small = settings([
          "num_train_steps": 2, "batch_size": 16, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "stall_timeout": 1,
        ])
        let result = try Program.mpirun(ranks: 2, ["train", "--data", "pairs.txt", "--threads", "1"] + small, in: folder)
        #expect(result.status == 0, "\(result.errors)")
      }
    }

    /// A reader that pauses keeps the program waiting in the middle of a line.
    @Test func aReaderThatPausesIsNoStandstill() throws {
      try Program.withTemporaryFolder { folder in
        let more = settings([
          "report_steps": 1, "num_train_steps": 1500, "batch_size": 16, "eval_every": 1500, "save_checkpoints_steps": 1500,
        ])
        let words = ([Program.path] + Self.arguments + ["--verbose"] + more).joined(separator: " ")
        let result = try Program.execute(
          "/bin/bash", ["-c", "\(words) 2>&1 | (sleep 8; cat > said); echo ${PIPESTATUS[0]}"], in: folder)
        #expect(result.output == "0\n", "\(result.output) \(result.errors)")
        let said = try String(contentsOfFile: folder + "/said", encoding: .utf8)
        // More than a pipe holds.
        #expect(said.utf8.count > 1 << 16 && said.contains("step 1500/1500"))
      }
    }

    // MARK: - Other commands

    /// A model for many users, and how long an evaluation of it takes does not matter.
    private func withModel(_ body: (_ folder: String) throws -> Void) throws {
      try Program.withTemporaryFolder { folder in
        try Self.writeUsers(folder + "/pairs.txt")
        let small = settings(["num_train_steps": 1, "batch_size": 16, "hidden_size": 32, "holdout": "test"])
        let trained = try Program.run(["train", "--data", "pairs.txt", "--run", "run"] + small + ["--stop-after", "1"], in: folder)
        try #require(trained.status == 0 || trained.status == 75, "\(trained.errors)")
        try body(folder)
      }
    }

    /// evaluate and recommend, too, do not wait for ever for a rank that does not come any more.
    @Test func frozenRanksOfOtherCommandsAreNamed() throws {
      try withModel { folder in
        let common = ["--checkpoint", "run", "--data", "pairs.txt", "--stall-timeout", "2"]
        for (command, frozen) in [("evaluate", 1), ("recommend", 0)] {
          let program = try Program.start([command] + common, ranks: 2, in: folder)
          try program.waitForMessage("rows left out")
          let processes = program.children
          try #require(processes.count == 2)
          kill(processes[frozen], SIGSTOP)
          let end = try program.wait()
          #expect(end.isOfAStandstill, "\(end.status): \(end.errors)")
          let lines = end.errors.split(separator: "\n").filter { $0.hasPrefix("error: ") }
          #expect(lines.count == 1, "\(end.errors)")
          #expect(lines.first?.hasPrefix("error: rank \(frozen) on host ") == true, "\(lines)")
          #expect(lines.first?.hasSuffix("run the same command again.") == true, "\(lines)")
          for process in processes { #expect(ends(process), "process \(process) is left") }
        }
      }
    }

    @Test func theLimitIsChecked() throws {
      for command in ["evaluate", "recommend"] {
        let result = try Program.run([command, "--checkpoint", "run", "--data", "x", "--stall-timeout", "0"])
        #expect(result.status == 64 && result.errors.contains("--stall-timeout must be 1 to 1000000 seconds."), "\(result.errors)")
      }
    }
  }
}
