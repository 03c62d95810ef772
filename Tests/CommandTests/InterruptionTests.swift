import Foundation
import Testing

extension CommandTests {
  /// Processes that are killed or signalled in the middle of training.
  @Suite struct Interruption {
    static let arguments =
      ["train", "--run", "run", "--threads", "1"]
      + settings([
        "num_train_steps": 800, "save_checkpoints_steps": 40, "report_steps": 5, "batch_size": 16, "eval_every": 400,
      ])

    static let undisturbed = Result {
      try Program.withTemporaryFolder { folder in
        try #require(try Program.run(arguments, in: folder).status == 0)
        let run = RunFiles(folder + "/run")
        return (hash: try run.hash, lines: try run.comparableLines)
      }
    }

    /// Starts, waits for a step in the middle, interrupts, checks the status, runs again, and compares with a run that
    /// nobody disturbed.
    private func interrupt(
      ranks: Int? = nil, expecting status: (Int32) -> Bool, _ interruption: (RunningProgram) throws -> Void
    ) throws {
      try Program.withTemporaryFolder { folder in
        let run = RunFiles(folder + "/run")
        let program = try Program.start(Self.arguments, ranks: ranks, in: folder)
        try program.wait(for: "\"step\":100,", in: run.path + "/metrics.jsonl")
        try interruption(program)
        let end = try program.wait()
        #expect(status(end.status), "\(end.status): \(end.errors)")
        // It did not simply finish before.
        let last = try #require(try run.reportedSteps.last)
        #expect(last < 800 && end.output.isEmpty)
        if end.status == 75 { #expect(end.count(ofErrors: "the state is saved, the same command resumes the run") == 1) }
        // What was killed may leave half a line and half a checkpoint behind.
        let rest = try Program.run(Self.arguments, in: folder)
        #expect(rest.status == 0 && rest.errors.contains("resuming from run/checkpoints/step-"), "\(rest.errors)")
        let expected = try Self.undisturbed.get()
        #expect(try run.hash == expected.hash)
        #expect(try run.comparableLines == expected.lines)
      }
    }

    @Test(arguments: [SIGUSR1, SIGTERM, SIGINT, SIGHUP]) func aSignalSavesAndStops(signal: Int32) throws {
      try interrupt(expecting: { $0 == 75 }) { $0.send(signal) }
    }

    /// As under mpirun when the host's terminal goes.
    @Test func aRankThatHangsUpSavesForAll() throws {
      try interrupt(ranks: 2, expecting: { $0 == 75 }) { program in
        let rank = try #require(program.children.last)
        kill(rank, SIGHUP)
      }
    }

    /// A run that nohup has started outlives its terminal.
    @Test func whatIgnoresHangUpsGoesOn() throws {
      try Program.withTemporaryFolder { folder in
        let program = try Program.start(
          // UCX, which Open MPI 5 may load, else takes HUP for a signal of its own, before the program can see that it is ignored.
          executable: "/bin/sh", ["-c", "trap '' HUP; export UCX_DEBUG_SIGNO=0; exec \"$@\"", "sh", Program.path] + Self.arguments,
          in: folder)
        try program.wait(for: "\"step\":100,", in: folder + "/run/metrics.jsonl")
        program.send(SIGHUP)
        let end = try program.wait()
        #expect(end.status == 0, "\(end.status): \(end.errors)")
        #expect(try RunFiles(folder + "/run").hash == Self.undisturbed.get().hash)
      }
    }

    /// A lost ssh session ends the reader of the output first: the next report finds a broken pipe.
    @Test func whoeverReadsTheOutputMayGo() throws {
      try Program.withTemporaryFolder { folder in
        let script = "{ \"$@\"; echo $? > status; } 2>&1 | head -n 3 > head.txt; cat status"
        let result = try Program.execute("/bin/sh", ["-c", script, "sh", Program.path] + Self.arguments, in: folder)
        #expect(result.output == "74\n", "\(result.output)")
        let run = RunFiles(folder + "/run")
        #expect(try run.hash == Self.undisturbed.get().hash)
        #expect(try run.evaluation("test")["step"] != nil)
      }
    }

    @Test func mpirunPassesTheSignalOn() throws {
      try interrupt(ranks: 2, expecting: { $0 == 75 }) { $0.send(SIGUSR1) }
    }

    @Test func aKilledProcessGoesOn() throws { try interrupt(expecting: { $0 == 128 + SIGKILL }) { $0.send(SIGKILL) } }

    @Test func aKilledRankEndsTheJobAndItGoesOn() throws {
      try interrupt(ranks: 2, expecting: { $0 != 0 && $0 != 75 }) { program in
        let rank = try #require(program.children.last)
        kill(rank, SIGKILL)
      }
    }

    /// USR2 saves at the next step and continues.
    @Test(arguments: [nil, 2]) func aSignalSavesAndGoesOn(ranks: Int?) throws {
      try Program.withTemporaryFolder { folder in
        let run = RunFiles(folder + "/run")
        let more = settings(["save_checkpoints_steps": 10_000, "keep_checkpoints": 50])
        let program = try Program.start(Self.arguments + more, ranks: ranks, in: folder)
        try program.wait(for: "\"step\":100,", in: run.path + "/metrics.jsonl")
        program.send(SIGUSR2)
        let end = try program.wait()
        #expect(end.status == 0, "\(end.errors)")
        let steps = try run.checkpoints.compactMap { Int($0.dropFirst("step-".count)) }
        #expect(steps.contains { $0 > 100 && $0 < 800 && $0 != 400 }, "\(steps)")
        #expect(try run.hash == Self.undisturbed.get().hash)
      }
    }

    /// A step that takes seconds does not keep anybody waiting who is sure.
    @Test func aSecondInterruptStopsAtOnce() throws {
      try Program.withTemporaryFolder { folder in
        let long = settings(["batch_size": 200_000])
        let program = try Program.start(Self.arguments + long, in: folder)
        try program.waitForMessage("gradients: ")
        program.send(SIGINT)
        usleep(100_000)
        program.send(SIGINT)
        #expect(try program.wait().status == 128 + SIGINT)
        #expect(try RunFiles(folder + "/run").checkpoints.isEmpty)
      }
    }

    @Test func twoRunsInOneFolder() throws {
      try Program.withTemporaryFolder { folder in
        let endless = Self.arguments + settings(["num_train_steps": 1_000_000])
        let first = try Program.start(endless, in: folder)
        try first.wait(for: "\"step\":5,", in: folder + "/run/metrics.jsonl")
        for result in [
          try Program.run(endless, in: folder), try Program.mpirun(ranks: 2, endless, in: folder),
        ] {
          #expect(result.status == 64)
          #expect(result.count(ofErrors: "error: run is in use by another run (process ") == 1, "\(result.errors)")
        }
        first.send(SIGUSR1)
        #expect(try first.wait().status == 75)
        // The lock went with its owner.
        #expect(try Program.run(endless + ["--stop-after", "1"], in: folder).status == 75)
      }
    }

    // MARK: - In an evaluation

    /// A run whose validations take seconds, in a folder with its data.
    private static func slowValidation(saving interval: Int) -> [String] {
      ["train", "--data", "pairs.txt", "--run", "run", "--threads", "1"]
        + settings([
          "num_train_steps": 5, "eval_every": 4, "save_checkpoints_steps": interval, "report_steps": 1, "batch_size": 16,
          "hidden_size": 16, "num_hidden_layers": 1, "intermediate_size": 16, "max_seq_length": 8, "keep_checkpoints": 9,
        ])
    }

    private static func writePairs(_ folder: String) throws {
      try GeneratedPairs.write(users: 40_000, items: 4_000, to: folder + "/pairs.txt")
    }

    private static let undisturbedValidation = Result {
      try Program.withTemporaryFolder { folder in
        try writePairs(folder)
        try #require(try Program.run(slowValidation(saving: 4), in: folder).status == 0)
        let run = RunFiles(folder + "/run")
        return (hash: try run.hash, lines: try run.comparableLines, best: try run.text("checkpoints/best"))
      }
    }

    struct Ending: CustomTestStringConvertible {
      let ranks: Int?
      let interval: Int
      let signal: Int32
      var testDescription: String { "signal \(signal), \(ranks ?? 0) ranks, saving every \(interval) steps" }
    }

    /// Whatever ends a run in a validation, nothing that was trained is lost, and the validation is made up for.
    @Test(arguments: [
      Ending(ranks: nil, interval: 4, signal: SIGUSR1), Ending(ranks: 2, interval: 4, signal: SIGUSR1),
      Ending(ranks: 2, interval: 100, signal: SIGUSR1), Ending(ranks: 2, interval: 4, signal: SIGINT),
      Ending(ranks: nil, interval: 4, signal: SIGKILL),
    ])
    func theEndOfAValidation(_ ending: Ending) throws {
      try Program.withTemporaryFolder { folder in
        try Self.writePairs(folder)
        let run = RunFiles(folder + "/run")
        let arguments = Self.slowValidation(saving: ending.interval)
        let program = try Program.start(arguments, ranks: ending.ranks, in: folder)
        // The last report and the checkpoint are written when the validation is about to begin.
        try program.wait(for: "\"step\":4,", in: run.path + "/metrics.jsonl")
        if ending.interval == 4 { try program.wait(for: "step-00000004", in: run.path + "/checkpoints/latest") }
        usleep(100_000)
        program.send(ending.signal)
        let end = try program.wait()
        // mpirun takes its time over INT: the validation may be over before.
        if ending.signal != SIGINT {
          #expect(try run.lines.allSatisfy { $0["split"] == nil }, "the validation was over before")
          #expect(try run.checkpoints == ["step-00000004"])
        }
        if ending.signal == SIGUSR1 {
          #expect(end.status == 75, "\(end.errors)")
          #expect(
            end.count(ofErrors: "stopped in the evaluation of step 4 of 5; the state is saved, the same command resumes the run") == 1,
            "\(end.errors)")
        }
        let rest = try Program.run(arguments, in: folder)
        #expect(rest.status == 0 && rest.errors.contains("resuming from run/checkpoints/step-0000000"), "\(rest.errors)")
        let expected = try Self.undisturbedValidation.get()
        #expect(try run.hash == expected.hash)
        #expect(try run.comparableLines == expected.lines)
        #expect(try run.text("checkpoints/best") == expected.best)
      }
    }

    /// The last one, after all steps.
    @Test(arguments: [nil, 2]) func theEndOfTheTestEvaluation(ranks: Int?) throws {
      try Program.withTemporaryFolder { folder in
        try Self.writePairs(folder)
        let run = RunFiles(folder + "/run")
        let arguments = Self.slowValidation(saving: 4)
        let program = try Program.start(arguments, ranks: ranks, in: folder)
        try program.wait(for: "\"step\":5,\"split\":\"validation\"", in: run.path + "/metrics.jsonl")
        usleep(100_000)
        program.send(SIGUSR1)
        let end = try program.wait()
        #expect(end.status == 75, "\(end.errors)")
        #expect(end.count(ofErrors: "; the state is saved, the same command resumes the run") == 1 && end.output.isEmpty, "\(end.errors)")
        let rest = try Program.run(arguments, in: folder)
        #expect(rest.status == 0, "\(rest.errors)")
        #expect(try run.comparableLines == Self.undisturbedValidation.get().lines)
      }
    }
  }
}
