import Foundation
import Testing

extension CommandTests {
  /// Ranks that stop moving: the run ends by itself, says who is to blame, and goes on when it is started again.
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

    @Test(arguments: [1, 2]) func aFrozenRankIsNamed(rank: Int) throws {
      try freeze([rank], of: 3) { end in
        let lines = end.errors.split(separator: "\n").filter { $0.hasPrefix("error: ") }
        let line = try #require(lines.first)
        #expect(lines.count == 1)
        #expect(line.hasPrefix("error: rank \(rank) on host "))
        #expect(line.contains("has not been heard from for") && line.contains(" s; last step 2"), "\(line)")
        #expect(line.contains("run the same command again: it goes on from the checkpoint of step "))
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
  }
}
