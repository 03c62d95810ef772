import Communication
import ProbeRunner
import Testing

@Suite struct LeaveTakingTests {
  @Test func theLeaveTakingIsWatched() throws {
    let result = try Probe.mpirun(ranks: 3, ["freeze-at-the-end"])
    #expect(result.isOfAStandstill, "\(result.status): \(result.errors)")
    #expect(result.count(ofErrors: "error: ") == 1, "\(result.errors)")
    let line = "error: rank 2 on host \(SoloCommunicator().hostName) has not been heard from for "
    #expect(result.count(ofErrors: line) == 1, "\(result.errors)")
    #expect(result.count(ofErrors: "the others wait in phase: end of the run. ") == 1, "\(result.errors)")
    #expect(result.count(ofErrors: "run the same command again.\n") == 1, "\(result.errors)")
  }
}
