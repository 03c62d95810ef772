import BERT4RecModel
import SystemSupport
import Testing
import Training

/// What is said of replicas that are not what they should be, and of whom.
@Suite struct ReplicaComparisonTests {
  private func problem(_ sums: [UInt64], failing: Set<Int> = []) -> String? {
    ReplicaComparison.problem(
      sums.indices.map { ReplicaCheck(sum: sums[$0], memoryHolds: !failing.contains($0)) },
      hosts: sums.indices.map { "host\($0)" })
  }

  @Test(arguments: [1, 2, 5]) func equalReplicasAreInOrder(size: Int) {
    #expect(problem([UInt64](repeating: 7, count: size)) == nil)
  }

  /// A rank that finds its own memory changed knows more than any comparison.
  @Test func failingMemoryIsNamed() {
    #expect(problem([7], failing: [0]) == "the memory of rank 0 on host host0 does not hold what the last step left in it")
    #expect(problem([7, 8], failing: [1]) == "the memory of rank 1 on host host1 does not hold what the last step left in it")
    // Also where the sums agree: the wrong numbers may have been overwritten.
    #expect(problem([7, 7], failing: [0])?.hasPrefix("the memory of rank 0 on host host0 ") == true)
    #expect(
      problem([7, 1, 2, 3, 4], failing: [1, 2, 3, 4])
        == "the memory of ranks 1 on host host1, 2 on host host2, 3 on host host3 and 1 more does not hold what the last step left in it")
  }

  @Test func theOddOneIsNamedWhereMostAgree() {
    #expect(
      problem([7, 8, 7])
        == "the replica of rank 1 on host host1 differs from those of the other 2 ranks, which agree")
    #expect(
      problem([8, 7, 7, 7])
        == "the replica of rank 0 on host host0 differs from those of the other 3 ranks, which agree")
    #expect(problem([7, 8, 7, 9, 7])?.hasPrefix("the replicas of ranks 1 on host host1, 3 on host host3 differ from those") == true)
  }

  /// Of two nobody can tell who is right, nor where no majority agrees.
  @Test func nobodyIsBlamedWithoutAMajority() {
    #expect(
      problem([7, 8]) == "the replicas of ranks 0 on host host0, 1 on host host1 differ, and nothing tells which is right")
    #expect(problem([7, 8, 7, 8])?.hasSuffix("differ, and nothing tells which is right") == true)
    #expect(problem([7, 8, 9])?.hasSuffix("differ, and nothing tells which is right") == true)
  }

  @Test func goingBackToOnePlaceHasAnEnd() {
    var returns = Returns()
    let answers = [0, 0, 0, 10, 10, 10, 10, 20].map { returns.mayReturn(to: $0) }
    // Where the run gets on in between, it may go back again.
    #expect(answers == [true, true, true, true, true, true, false, true])
  }
}
