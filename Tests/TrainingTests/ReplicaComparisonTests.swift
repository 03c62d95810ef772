import BERT4RecModel
import SystemSupport
import Testing
import Training

/// A flipped bit in one rank's memory.
@Suite struct ReplicaComparisonTests {
  private struct Outcome: Sendable {
    var hash: String
    var moments: Float
    var warnings: [String]
    var failure: Failure?
    var wereSame: Bool?
  }

  /// Compares `size` replicas after `damage` to some of them.
  private func compare(_ size: Int, _ damage: @escaping @Sendable (_ rank: Int, ModelState) -> Void) -> [Outcome] {
    ThreadRanks.run(size) { communicator in
      var outcome = Outcome(hash: "", moments: 0, warnings: [])
      do throws(Failure) {
        let state = try ModelState(GradientShardsTests.model)
        state.initialize(seed: 3)
        damage(communicator.rank, state)
        defer {
          outcome.hash = state.parameterHash
          outcome.moments = state.secondMoment[5]
        }
        outcome.wereSame = try ReplicaComparison.run(state, communicator: communicator) { outcome.warnings.append($0) }
      } catch { outcome.failure = error }
      return outcome
    }
  }

  @Test func equalReplicasAreLeftAlone() {
    for outcome in compare(3, { _, _ in }) {
      #expect(outcome.wereSame == true && outcome.warnings.isEmpty && outcome.failure == nil)
    }
  }

  @Test func aDriftedReplicaIsNamedAndSetRight() {
    // One bit of one parameter on rank 1; a moment alone on rank 3.
    let outcomes = compare(5) { rank, state in
      if rank == 1 { state.parameters[17] = Float(bitPattern: state.parameters[17].bitPattern ^ 1) }
      if rank == 3 { state.secondMoment[5] = 0.25 }
    }
    let good = compare(2) { _, _ in }[0].hash
    for outcome in outcomes {
      #expect(outcome.wereSame == false && outcome.failure == nil)
      #expect(outcome.hash == good && outcome.moments == 0)
    }
    let warnings = outcomes[0].warnings
    #expect(warnings.count == 2)
    #expect(warnings[0].contains("the replica of rank 1 on host host1 differs from rank 0's at step 0"))
    #expect(warnings[1].contains("the replica of rank 3 on host host3 differs"))
    #expect(outcomes[1...].allSatisfy { $0.warnings.isEmpty })
  }

  /// With two ranks nobody can tell who is right; rank 0's counts.
  @Test func ofTwoRankZeroCounts() {
    let outcomes = compare(2) { rank, state in if rank == 0 { state.parameters[0] = 9 } }
    #expect(outcomes[0].hash == outcomes[1].hash && outcomes[0].warnings.count == 1)
  }

  @Test func anOutvotedRankZeroEndsTheRun() throws {
    let outcomes = compare(3) { rank, state in if rank == 0 { state.parameters[0] = 9 } }
    for outcome in outcomes {
      let failure = try #require(outcome.failure)
      #expect(failure.exitCode == .internalFault)
      #expect(failure.message.contains("rank 0 on host host0 differs from those of 2 other ranks"))
    }
  }
}
