import Communication
import SystemSupport
import Testing

@Suite struct SoloCommunicatorTests {
  @Test func processesThatMPIDoesNotConnectAreRefused() throws {
    let failure = #expect(throws: CollectiveFailure.self) {
      _ = try makeCommunicator { $0 == "SLURM_STEP_NUM_TASKS" ? "8" : nil }
    }
    #expect(failure?.exitCode == .usage)
    #expect(failure?.message.contains("start with mpirun, or srun --mpi=pmix") == true)
    #expect(failure?.message.contains("SLURM_STEP_NUM_TASKS=8") == true)
    #expect(try makeCommunicator { $0 == "SLURM_STEP_NUM_TASKS" ? "1" : nil }.size == 1)
    #expect(try makeCommunicator { _ in nil } is SoloCommunicator)
  }

  @Test func agreementsOfOne() throws {
    let communicator = SoloCommunicator()
    #expect(!communicator.hostName.isEmpty)
    #expect(try communicator.broadcast([Int64.max, 2]) == [.max, 2])
    #expect(try communicator.broadcast("") == "")
    #expect(try communicator.fromRankZero { () throws(ProgramFailure) in [3] as [Int32] } == [3])
    #expect(try communicator.gather([1, 2]) == [[1, 2]])
    #expect(try communicator.scatter([[1, 2]]) == [1, 2])
    try communicator.requireSame("the version", "1")
    try communicator.agree(on: nil)
    let failure = ProgramFailure(.badData, "line 3")
    let shared = CollectiveFailure(failure, reach: .everyRank)
    #expect(throws: shared) { try communicator.agree(on: failure) }
    #expect(throws: shared) { try communicator.onRankZero { () throws(ProgramFailure) in throw failure } }
    #expect(communicator.finish() == .success)
  }
}
