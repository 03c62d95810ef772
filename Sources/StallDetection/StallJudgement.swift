/// Decides from heartbeats whether a run has come to a standstill, and which rank is to be named for it. No clock, no network:
/// the watchdog brings both.
package struct StallJudgement {
  /// What is known of another rank.
  package struct Rank {
    package var snapshot = RankProgress.Snapshot()
    /// When it was heard from last, and when its ticks changed last; nil: never.
    package var heard: Double?
    package var moved: Double?
  }

  /// Seconds without progress after which a run ends.
  package let limit: Double
  package let hosts: [String]
  package let rank: Int
  package private(set) var ranks: [Rank]

  package init(limit: Double, hosts: [String], rank: Int) {
    self.limit = limit
    self.hosts = hosts
    self.rank = rank
    ranks = [Rank](repeating: Rank(), count: hosts.count)
  }

  /// A sign of life of a rank, this one's own too, at a time in seconds.
  package mutating func hear(_ snapshot: RankProgress.Snapshot, from other: Int, at time: Double) {
    if ranks[other].moved == nil || ranks[other].snapshot.ticks != snapshot.ticks { ranks[other].moved = time }
    ranks[other].snapshot = snapshot
    ranks[other].heard = time
  }

  /// What is wrong, as the middle of a message; nil while somebody moves, or where another rank is to judge.
  ///
  /// Rank 0 hears all ranks and judges. The others hear rank 0 alone, and judge only when it has fallen silent, each a little
  /// later than the one before it, so that one of them speaks.
  package func verdict(at time: Double) -> String? {
    guard let own = ranks[rank].moved, time - own >= limit else { return nil }
    if rank == 0 {
      if ranks.contains(where: { time - ($0.moved ?? -.infinity) < limit }) { return nil }
      return verdictOfRankZero(time)
    }
    let turn = limit + min(0.5 * Double(rank), 4)
    if let heard = ranks[0].heard {
      return time - heard >= turn && time - own >= turn ? silent([0], time) : nil
    }
    // No heartbeat has ever come through: rank 0 may be at work all the same, so it gets much more time.
    return time - own >= 3 * turn
      ? "rank \(rank) on host \(hosts[rank]) has made no progress for \(text(time - own)) s; \(place(rank))" : nil
  }

  /// Whether rank 0 has been silent for half the limit while nothing moves here: the run may be about to end.
  package func missesRankZero(at time: Double) -> Bool {
    guard rank != 0, let heard = ranks[0].heard, let own = ranks[rank].moved else { return false }
    return time - heard >= limit / 2 && time - own >= limit / 2
  }

  private func verdictOfRankZero(_ time: Double) -> String {
    let silentRanks = ranks.indices.filter { $0 != rank && ranks[$0].heard.map { time - $0 >= limit / 2 } ?? false }
    if !silentRanks.isEmpty { return silent(silentRanks, time) }
    // Those that were never heard from say nothing: a firewall may keep their heartbeats back.
    let known = ranks.indices.filter { ranks[$0].heard != nil }
    let least = known.min { ranks[$0].snapshot.phases < ranks[$1].snapshot.phases } ?? rank
    let waits = known.allSatisfy { ranks[$0].snapshot.phases == ranks[least].snapshot.phases }
    let unheard = ranks.count - known.count
    let note = unheard == 0 ? "" : "; \(unheard) ranks never sent a heartbeat (UDP may be blocked between the hosts)"
    if waits && ranks.count > 1 {
      return "no rank has made progress for \(text(limit)) s, rank \(least) on host \(hosts[least]) among them; "
        + place(least) + note
    }
    return "rank \(least) on host \(hosts[least]) has made no progress for \(text(limit)) s; \(place(least))" + note
  }

  private func silent(_ silentRanks: [Int], _ time: Double) -> String {
    let first = silentRanks[0]
    let others = silentRanks.dropFirst().prefix(3).map { ", rank \($0) on host \(hosts[$0])" }.joined()
    let rest = silentRanks.count > 4 ? " and \(silentRanks.count - 4) more" : ""
    let count = silentRanks.count == 1 ? "has" : "have"
    // Its last heartbeat may be older than what the ranks have agreed on since.
    return "rank \(first) on host \(hosts[first])\(others)\(rest) \(count) not been heard from for "
      + "\(text(time - (ranks[first].heard ?? 0))) s; last step \(max(ranks[first].snapshot.step, ranks[rank].snapshot.step)), "
      + "the others wait in phase: \(ranks[rank].snapshot.phaseName)"
  }

  private func place(_ rank: Int) -> String {
    "last step \(ranks[rank].snapshot.step), phase: \(ranks[rank].snapshot.phaseName)"
  }

  private func text(_ seconds: Double) -> String { "\(Int(seconds.rounded()))" }
}
