import StallDetection
import Testing

/// Who is blamed for a standstill, and by whom, with a limit of 10 s.
@Suite struct StallJudgementTests {
  private let hosts = ["a", "b", "c"]

  private func snapshot(_ phase: RankProgress.Phase, step: Int64, phases: UInt64, ticks: UInt64) -> RankProgress.Snapshot {
    var snapshot = RankProgress.Snapshot()
    (snapshot.phase, snapshot.step, snapshot.phases, snapshot.ticks) = (phase.rawValue, step, phases, ticks)
    return snapshot
  }

  /// Everybody heard at time 0, in the allreduce of step 7, but rank 2, which still computes.
  private func judgement(rank: Int, heard: [Int]) -> StallJudgement {
    var judgement = StallJudgement(limit: 10, hosts: hosts, rank: rank)
    for other in heard {
      let isLate = other == 2
      judgement.hear(
        snapshot(isLate ? .gradients : .allreduce, step: 7, phases: isLate ? 30 : 31, ticks: 5), from: other, at: 0)
    }
    return judgement
  }

  private func repeatHeartbeat(_ judgement: inout StallJudgement, of rank: Int, at time: Double) {
    judgement.hear(judgement.ranks[rank].snapshot, from: rank, at: time)
  }

  @Test func aSilentRankIsNamed() throws {
    var judgement = judgement(rank: 0, heard: [0, 1, 2])
    for time in [3.0, 6, 9, 12] {
      for rank in [0, 1] { repeatHeartbeat(&judgement, of: rank, at: time) }
      let verdict = judgement.verdict(at: time)
      #expect((verdict != nil) == (time == 12))
    }
    #expect(
      judgement.verdict(at: 12) == "rank 2 on host c has not been heard from for 12 s; last step 7, the others wait in phase: allreduce")
  }

  /// It lives and sends heartbeats, but its main thread is stuck.
  @Test func theRankThatTheOthersWaitForIsNamed() {
    var judgement = judgement(rank: 0, heard: [0, 1, 2])
    for rank in 0...2 { repeatHeartbeat(&judgement, of: rank, at: 10) }
    #expect(
      judgement.verdict(at: 10) == "rank 2 on host c has made no progress for 10 s; last step 7, phase: gradients")
  }

  /// Half the limit without rank 0, while nothing moves here.
  @Test func rankZeroIsMissedBeforeAnybodySpeaks() {
    var judgement = judgement(rank: 1, heard: [0, 1])
    #expect(!judgement.missesRankZero(at: 4.9) && judgement.missesRankZero(at: 5) && judgement.verdict(at: 5) == nil)
    repeatHeartbeat(&judgement, of: 0, at: 6)
    #expect(!judgement.missesRankZero(at: 10.9) && judgement.missesRankZero(at: 11))
    judgement.hear(snapshot(.update, step: 7, phases: 32, ticks: 6), from: 1, at: 11)
    #expect(!judgement.missesRankZero(at: 12))
    // Nobody misses himself, or whom he has never heard.
    #expect(!self.judgement(rank: 0, heard: [0]).missesRankZero(at: 100))
    #expect(!self.judgement(rank: 1, heard: [1]).missesRankZero(at: 100))
  }

  @Test func somebodyMovesSoNothingIsSaid() {
    var judgement = judgement(rank: 0, heard: [0, 1, 2])
    judgement.hear(snapshot(.gradients, step: 7, phases: 30, ticks: 6), from: 2, at: 9)
    for rank in 0...2 { repeatHeartbeat(&judgement, of: rank, at: 18) }
    #expect(judgement.verdict(at: 18) == nil)
    #expect(judgement.verdict(at: 19) != nil)
  }

  @Test func allWaitInTheSameCall() {
    var judgement = StallJudgement(limit: 10, hosts: hosts, rank: 0)
    for rank in 0...2 { judgement.hear(snapshot(.allreduce, step: 7, phases: 31, ticks: 5), from: rank, at: 0) }
    for rank in 0...2 { repeatHeartbeat(&judgement, of: rank, at: 10) }
    #expect(
      judgement.verdict(at: 10)
        == "no rank has made progress for 10 s, rank 0 on host a among them; last step 7, phase: allreduce")
  }

  /// Rank 0 judges while it lives; when it is silent, rank 1 speaks before rank 2.
  @Test func theOthersSpeakOnlyWhenRankZeroIsSilent() {
    for rank in [1, 2] {
      var alive = judgement(rank: rank, heard: [0, rank])
      for other in [0, rank] { repeatHeartbeat(&alive, of: other, at: 60) }
      #expect(alive.verdict(at: 60) == nil)

      var orphan = judgement(rank: rank, heard: [0, rank])
      repeatHeartbeat(&orphan, of: rank, at: 10.4)
      #expect(orphan.verdict(at: 10.4) == nil)
      #expect((orphan.verdict(at: 10.6) != nil) == (rank == 1))
      #expect(
        orphan.verdict(at: 11.1)
          == "rank 0 on host a has not been heard from for 11 s; last step 7, the others wait in phase: "
          + (rank == 1 ? "allreduce" : "gradients"))
    }
  }

  /// Without heartbeats a rank knows of itself alone, and is patient.
  @Test func blockedHeartbeats() {
    let alone = judgement(rank: 2, heard: [2])
    #expect(alone.verdict(at: 30) == nil)
    #expect(
      alone.verdict(at: 34) == "rank 2 on host c has made no progress for 34 s; last step 7, phase: gradients")
    let deaf = judgement(rank: 0, heard: [0])
    #expect(deaf.verdict(at: 10)?.contains("2 ranks never sent a heartbeat (UDP may be blocked") == true)
  }
}
