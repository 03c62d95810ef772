import BERT4RecDist
import Foundation
import Testing

extension CommandTests {
  /// A bit flips in the memory of one rank, between two steps: it is found in the next one, all ranks go back, and the run ends with
  /// the bits of one that nobody disturbed.
  @Suite(.enabled(if: ProcessMemory.obstacle == nil, "\(ProcessMemory.obstacle ?? "")")) struct MemoryFaults {
    /// Steps that take long enough to catch a rank in the middle of one.
    private static let arguments =
      ["train", "--run", "run", "--threads", "1"]
      + settings([
        "num_train_steps": 9, "save_checkpoints_steps": 3, "eval_every": 3, "report_steps": 1, "batch_size": 3000,
        "keep_checkpoints": 9,
      ])

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

    /// Stops a rank, flips a bit where `known` stands in its memory, and lets it go on. The rank may not have got there yet.
    private func flip(_ process: Int32, _ known: Data) throws {
      for _ in 0..<20 {
        kill(process, SIGSTOP)
        defer { kill(process, SIGCONT) }
        if try ProcessMemory.flip(process, at: known, offset: 402) >= 1 { return }
        usleep(2000)
      }
      try #require(Bool(false), "the state has changed before it could be found")
    }

    @Test(arguments: [
      Fault(ranks: 2, rank: 1, place: .parameters), Fault(ranks: 2, rank: 0, place: .firstMoment),
      Fault(ranks: 3, rank: 2, place: .secondMoment), Fault(ranks: 3, rank: 0, place: .parameters),
      Fault(ranks: 4, rank: 3, place: .firstMoment), Fault(ranks: 4, rank: 1, place: .secondMoment),
    ])
    func aFlippedBitLeavesNoTrace(_ fault: Fault) throws {
      try Program.withTemporaryFolder { folder in
        let run = RunFiles(folder + "/run")
        let program = try Program.start(Self.arguments, ranks: fault.ranks, in: folder)
        try program.waitForMessage("best ndcg@10[full] so far")
        let ranks = program.children
        try #require(ranks.count == fault.ranks)
        try flip(ranks[fault.rank], fault.place.beginning(run.path + "/checkpoints/step-00000003"))
        let end = try program.wait()
        #expect(end.status == 0, "\(end.errors)")
        #expect(
          end.count(
            ofErrors: "warning: the memory of rank \(fault.rank) on host \(SoloCommunicator().hostName) does not hold what the last step "
              + "left in it, found at step 4: a memory or a processor there is failing. All ranks go back to the checkpoint of step 3 ")
            == 1, "\(end.errors)")
        #expect(end.count(ofErrors: "All ranks go back") == 1)
        let expected = try Self.undisturbed.get()
        #expect(try run.hash == expected.hash)
        #expect(try run.comparableLines == expected.lines)
      }
    }

    /// The state that every run begins with.
    private func initialParameters() throws -> Data {
      let state = try ModelState(Self.undisturbed.get().model)
      state.initialize(seed: RunSettings().seed)
      return Data(bytes: try #require(state.parameters.baseAddress), count: 4096)
    }

    /// Before the first update nobody knows what memory held: of two ranks neither is blamed.
    @Test func withoutACheckpointItBeginsAgain() throws {
      try Program.withTemporaryFolder { folder in
        let known = try initialParameters()
        let program = try Program.start(Self.arguments, ranks: 2, in: folder)
        try program.waitForMessage("memory per rank: ")
        try flip(program.children[1], known)
        let end = try program.wait()
        #expect(end.status == 0, "\(end.errors)")
        let host = SoloCommunicator().hostName
        #expect(
          end.count(
            ofErrors:
              "warning: the replicas of ranks 0 on host \(host), 1 on host \(host) differ, and nothing tells which is right, found at "
              + "step 1: a memory or a processor there is failing. All ranks go back to the beginning ") == 1, "\(end.errors)")
        let run = RunFiles(folder + "/run")
        let expected = try Self.undisturbed.get()
        #expect(try run.hash == expected.hash)
        #expect(try run.comparableLines == expected.lines)
      }
    }

    /// A memory that fails again and again ends the run, which the same command then carries on.
    @Test func theSameFaultAgainAndAgainEndsTheRun() throws {
      try Program.withTemporaryFolder { folder in
        let known = try initialParameters()
        let program = try Program.start(Self.arguments, ranks: 3, in: folder)
        try program.waitForMessage("memory per rank: ")
        for count in 1...4 {
          try flip(program.children[1], known)
          while count < 4, program.isRunning, program.errorText.components(separatedBy: "All ranks go back").count <= count {
            usleep(1000)
          }
        }
        let end = try program.wait()
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
