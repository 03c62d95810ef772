import Communication
import ProbeRunner
import SystemSupport
import Testing

/// Real ranks under mpirun; one test after the other, since the cores are few.
@Suite(.serialized) struct MPITests {
  @Test func valuesOfAllKindsReachTheRanks() throws {
    let result = try Probe.mpirun(ranks: 3, ["move"])
    #expect(result.status == 0, "\(result.errors)")
    #expect(
      result.output
        == "[-2147483648, 7, -1] [] Käse [1, 2, 3] [[], [true], [false, true]] true [0, 1, 4] [\"\", \"x\", \"xx\"] [1] "
        + "[[], [1, 1, 1], [2, 2, 2, 2, 2, 2]] true\n")
  }

  /// With messages of at most 5 elements, as longer ones than 2^28 go at work.
  @Test func longBuffersGoInPieces() throws {
    let result = try Probe.mpirun(ranks: 2, ["pieces"])
    #expect(result.status == 0, "\(result.errors)")
    let expected = [
      "\(Array(0..<13))", "\([[0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]])", "\((0..<11).map { $0 * 3 })",
    ]
    #expect(result.output == expected.joined(separator: " ") + "\n")
  }

  /// Ranks of one host have one copy; nobody keeps it open, so it goes with them.
  @Test func ranksOfAHostShareACopy() throws {
    for (ranks, expected) in [(1, "right own"), (3, "right shared, right shared, right shared")] {
      let result = try Probe.mpirun(ranks: ranks, ["host-copy", "40000"])
      #expect(result.status == 0 && result.output == expected + "\n", "\(result.output)\(result.errors)")
    }
    let nothing = try Probe.mpirun(ranks: 2, ["host-copy", "0"])
    #expect(nothing.status == 0 && nothing.output == "right own, right own\n", "\(nothing.output)\(nothing.errors)")
  }

  /// Where no memory can be shared, here since no file may be as large, each has its own copy, and that is said.
  @Test func ranksThatCannotShareHaveTheirOwn() throws {
    let result = try Probe.mpirun(ranks: 2, ["host-copy", "40000", "limited"])
    #expect(result.status == 0, "\(result.errors)")
    let lines = result.output.split(separator: "\n")
    #expect(lines.count == 2 && lines.last == "right own, right own", "\(result.output)")
    #expect(lines[0].contains("the data takes memory on every rank of ") && lines[0].contains("File too large"), "\(result.output)")
  }

  @Test func partsOfDifferentLengthsAreScattered() throws {
    let result = try Probe.mpirun(ranks: 3, ["scatter"])
    #expect(result.status == 0 && result.output == "true true true\n", "\(result.output)\(result.errors)")
  }

  @Test func ranksThatWaitForRankZeroLeaveTheCores() throws {
    let result = try Probe.mpirun(ranks: 3, ["idle"])
    // Milliseconds of processor time while rank 0 sleeps 400.
    let used = result.lines.first?.split(separator: " ").compactMap { Int($0) } ?? []
    #expect(used.count == 3 && used.allSatisfy { $0 < 200 }, "\(result.output) \(result.errors)")
  }

  @Test func rankZerosFailureReachesAllAndIsPrintedOnce() throws {
    let result = try Probe.mpirun(ranks: 3, ["fail-on-rank-zero"])
    #expect(result.status == ProgramExitCode.badData.rawValue)
    #expect(result.count(ofErrors: "error: line 3 is no good") == 1)
  }

  @Test func theLowestRanksFailureReachesAllWithItsPlace() throws {
    let host = SoloCommunicator().hostName
    var result = try Probe.mpirun(ranks: 4, ["fail-on-ranks", "3", "2"])
    #expect(result.status == ProgramExitCode.disk.rawValue)
    #expect(result.count(ofErrors: "error: ") == 1)
    #expect(result.count(ofErrors: "error: rank 2 on \(host): disk 2 is full") == 1)
    result = try Probe.mpirun(ranks: 2, ["fail-on-ranks", "0", "1"])
    #expect(result.status == ProgramExitCode.disk.rawValue)
    #expect(result.count(ofErrors: "error: ") == 1)
    #expect(result.count(ofErrors: "error: disk 0 is full") == 1)
  }

  @Test func aFailureThatOneRankKnowsEndsTheRun() throws {
    let result = try Probe.mpirun(ranks: 3, ["fail-alone"])
    #expect(result.status == ProgramExitCode.unreadable.rawValue)
    #expect(result.count(ofErrors: "error: rank 2 on \(SoloCommunicator().hostName): only I know") == 1)
  }

  @Test func differencesNameRanksAndValues() throws {
    let result = try Probe.mpirun(ranks: 3, ["differ"])
    let host = SoloCommunicator().hostName
    let values = "'0.1' on ranks 0 (\(host)), 1 (\(host)); '0.2' on rank 2 (\(host))"
    let expected = "error: the ranks differ in the program's version: \(values)"
    #expect(result.status == ProgramExitCode.usage.rawValue)
    #expect(result.count(ofErrors: expected) == 1)
    #expect(result.count(ofErrors: "error: ") == 1)
  }

  @Test func unconnectedRanksAreRefusedUnderMPIToo() throws {
    let result = try Probe.mpirun(ranks: 1, ["move"], options: ["-x", "SLURM_STEP_NUM_TASKS=2"])
    #expect(result.status == ProgramExitCode.usage.rawValue)
    #expect(result.count(ofErrors: "start with mpirun, or srun --mpi=pmix") == 1)
  }
}
