import BERT4RecDist
import Foundation
import Testing

extension CommandTests {
  /// A bit flips in the memory of one rank, between two steps: it is found in the next one, all ranks go back, and the run ends with
  /// the bits of one that nobody disturbed.
  @Suite(.enabled(if: ProcessMemory.obstacle == nil, "\(ProcessMemory.obstacle ?? "")")) struct MemoryFaults {
    /// Steps that take long enough to catch a rank in the middle of one; each changes the parameters, and leaves a checkpoint.
    private static let arguments =
      ["train", "--run", "run", "--threads", "1"]
      + settings([
        "num_train_steps": 9, "save_checkpoints_steps": 1, "eval_every": 3, "report_steps": 1, "batch_size": 3000,
        "keep_checkpoints": 9, "num_warmup_steps": 0,
      ])

    /// After these the state may be changed: not where a validation follows, which would measure the changed state.
    private static let steps = [1, 2, 4, 5, 7, 8]

    private static let undisturbed = Result {
      try Program.withTemporaryFolder { folder in
        try #require(try Program.mpirun(ranks: 2, arguments, in: folder).status == 0)
        let run = RunFiles(folder + "/run")
        let model = try CheckpointModel(folder + "/run", communicator: SoloCommunicator(), log: { _ in })
        return (hash: try run.hash, lines: try run.comparableLines, model: model.state.configuration)
      }
    }

    enum Place: CaseIterable {
      case parameters, firstMoment, secondMoment

      /// How it begins in memory at a checkpoint.
      func beginning(_ checkpoint: String) throws -> Data {
        let file = checkpoint + (self == .parameters ? "/model.safetensors" : "/optimizer.safetensors")
        let bytes = try Data(contentsOf: URL(fileURLWithPath: file))
        let header = 8 + bytes[..<8].enumerated().reduce(0) { $0 + Int($1.element) << (8 * $1.offset) }
        let data = bytes[header...]
        return Data(self == .secondMoment ? data.dropFirst(data.count / 2).prefix(4096) : data.prefix(4096))
      }
    }

    struct Fault: CustomTestStringConvertible {
      let ranks, rank: Int
      let place: Place
      var testDescription: String { "\(place), rank \(rank) of \(ranks)" }
    }

    /// Flips a bit where `known` stands in the memory of a rank. False where the run has ended, or `known` says that it has got too far.
    ///
    /// Another rank, without which none gets beyond the step that it is in, is let go for a few milliseconds at a time: however slow
    /// this test is, what it looks at stands still.
    private func flip(_ program: RunningProgram, _ rank: Int, known: () throws -> Known) throws -> Bool {
      let (processes, deadline) = (program.children, Date().addingTimeInterval(60))
      let (victim, other) = (processes[rank], processes[(rank + 1) % processes.count])
      while program.isRunning, Date() < deadline {
        usleep(5000)
        guard Self.stop(other) else { return false }
        defer { kill(other, SIGCONT) }
        // What the ranks do without it, such as writing a checkpoint, may still come to its end.
        usleep(20_000)
        switch try known() {
        case .notYet: continue
        case .tooLate: return false
        case .state(let bytes):
          guard Self.stop(victim) else { return false }
          defer { kill(victim, SIGCONT) }
          if try ProcessMemory.flip(victim, at: bytes, offset: 402) >= 1 { return true }
        }
      }
      return false
    }

    private enum Known {
      case notYet, tooLate
      case state(Data)
    }

    /// Returns when the process stands still; false when it has ended.
    private static func stop(_ process: Int32) -> Bool {
      kill(process, SIGSTOP)
      while let status = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8) {
        let state = status[(status.lastIndex(of: ")") ?? status.startIndex)...].dropFirst(2).first
        if state == "T" { return true }
        if state == "Z" || state == "X" { return false }
        usleep(200)
      }
      return false
    }

    /// Disturbs a run and looks at its end. Where `disturb` returns nil, since the machine is so busy that the run had got too far, another
    /// run is begun.
    private func run<R>(
      ranks: Int, more: [String] = [], disturb: (RunningProgram, RunFiles) throws -> R?, check: (R, CommandResult, String) throws -> Void
    ) throws {
      for _ in 0..<10 {
        let done = try Program.withTemporaryFolder { folder in
          let program = try Program.start(Self.arguments + more, ranks: ranks, in: folder)
          try program.waitForMessage("memory per rank: ")
          try #require(program.children.count == ranks)
          if let result = try disturb(program, RunFiles(folder + "/run")) {
            try check(result, program.wait(), folder)
            return true
          }
          program.send(SIGTERM)
          _ = try program.wait()
          return false
        }
        if done { return }
      }
      Issue.record("ten runs had got too far before a bit could be flipped")
    }

    private func expectNoTrace(in folder: String) throws {
      let (run, expected) = (RunFiles(folder + "/run"), try Self.undisturbed.get())
      #expect(try run.hash == expected.hash)
      #expect(try run.comparableLines == expected.lines)
    }

    /// Flips a bit of what a checkpoint begins with in the memory of a rank that has it; after which step, nil where it was too late.
    private func flipAfterACheckpoint(_ program: RunningProgram, _ run: RunFiles, _ fault: Fault) throws -> Int? {
      var step = 0
      let flipped = try flip(program, fault.rank) {
        guard let newest = try? run.checkpoints.last, let number = Int(newest.dropFirst("step-".count)) else { return .notYet }
        guard number <= Self.steps.max()! else { return .tooLate }
        guard Self.steps.contains(number) else { return .notYet }
        step = number
        return .state(try fault.place.beginning(run.path + "/checkpoints/" + newest))
      }
      return flipped ? step : nil
    }

    private func expectReturn(_ fault: Fault, _ step: Int, _ end: CommandResult) {
      #expect(end.status == 0, "\(end.errors)")
      #expect(
        end.count(
          ofErrors: "warning: the memory of rank \(fault.rank) on host \(SoloCommunicator().hostName) does not hold what the last step "
            + "left in it, found at step \(step + 1): a memory or a processor there is failing. All ranks go back to the checkpoint of "
            + "step \(step) ") == 1, "\(end.errors)")
      #expect(end.count(ofErrors: "All ranks go back") == 1)
    }

    @Test(arguments: [
      Fault(ranks: 2, rank: 1, place: .parameters), Fault(ranks: 2, rank: 0, place: .firstMoment),
      Fault(ranks: 3, rank: 2, place: .secondMoment), Fault(ranks: 3, rank: 0, place: .parameters),
      Fault(ranks: 4, rank: 3, place: .firstMoment), Fault(ranks: 4, rank: 1, place: .secondMoment),
    ])
    func aFlippedBitLeavesNoTrace(_ fault: Fault) throws {
      try run(ranks: fault.ranks) { program, run in
        try flipAfterACheckpoint(program, run, fault)
      } check: { step, end, folder in
        expectReturn(fault, step, end)
        try expectNoTrace(in: folder)
      }
    }

    /// Rows of a sharded table have no replica: their owner's memory tells. The demo's are one block, which is rank 0's.
    @Test(arguments: [Fault(ranks: 2, rank: 0, place: .parameters), Fault(ranks: 3, rank: 0, place: .secondMoment)])
    func aFlippedBitOfAShardedTableLeavesNoTrace(_ fault: Fault) throws {
      let values = ShardedTables.values
      let expected = try Program.withTemporaryFolder { folder in
        let more = settings(values.merging(["table": "replicated"]) { $1 })
        try #require(try Program.run(Self.arguments + more, in: folder).status == 0)
        return try RunFiles(folder + "/run").checkpointHash
      }
      try run(ranks: fault.ranks, more: settings(values)) { program, run in
        try flipAfterACheckpoint(program, run, fault)
      } check: { step, end, folder in
        expectReturn(fault, step, end)
        let hash = try RunFiles(folder + "/run").checkpointHash
        #expect(hash == expected)
      }
    }

    /// The state that every run begins with.
    private func initialParameters() throws -> Data {
      let state = try ModelState(Self.undisturbed.get().model)
      state.initialize(seed: RunSettings().seed)
      return Data(bytes: try #require(state.parameters.baseAddress), count: 4096)
    }

    /// Flips bits before the first update; false where there were fewer than `count` moments for it.
    private func flipAtTheBeginning(_ program: RunningProgram, _ run: RunFiles, times count: Int) throws -> Bool {
      let known = try initialParameters()
      return try (0..<count).allSatisfy { _ in
        try flip(program, 1) { (try? run.checkpoints.isEmpty) ?? true ? .state(known) : .tooLate }
      }
    }

    /// Before the first update nobody knows what memory held: of two ranks neither is blamed.
    @Test func withoutACheckpointItBeginsAgain() throws {
      try run(ranks: 2) { program, run in
        try flipAtTheBeginning(program, run, times: 1) ? true : nil
      } check: { _, end, folder in
        #expect(end.status == 0, "\(end.errors)")
        let host = SoloCommunicator().hostName
        #expect(
          end.count(
            ofErrors:
              "warning: the replicas of ranks 0 on host \(host), 1 on host \(host) differ, and nothing tells which is right, found at "
              + "step 1: a memory or a processor there is failing. All ranks go back to the beginning ") == 1, "\(end.errors)")
        try expectNoTrace(in: folder)
      }
    }

    /// A memory that fails again and again ends the run, which the same command then carries on.
    @Test func theSameFaultAgainAndAgainEndsTheRun() throws {
      try run(ranks: 3) { program, run in
        // What was flipped is not found before all have gone back.
        try flipAtTheBeginning(program, run, times: 4) ? true : nil
      } check: { _, end, folder in
        #expect(end.status == 70, "\(end.errors)")
        #expect(
          end.count(
            ofErrors: "error: the replica of rank 1 on host \(SoloCommunicator().hostName) differs from those of the other 2 ranks, which "
              + "agree, found at step 1: a memory or a processor there is failing. The run has gone back to the beginning 3 times and ends."
          )
            == 1, "\(end.errors)")
        let rest = try Program.mpirun(ranks: 2, Self.arguments, in: folder)
        #expect(rest.status == 0, "\(rest.errors)")
        #expect(try RunFiles(folder + "/run").hash == Self.undisturbed.get().hash)
      }
    }
  }
}
