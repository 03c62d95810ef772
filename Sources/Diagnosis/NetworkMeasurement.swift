import Communication
import SystemSupport

/// Time of messages between rank 0 and one other rank.
package struct NetworkMeasurement: Equatable, Sendable {
  package var host: String
  package var isSameHost: Bool
  /// Seconds of a short message, one way.
  package var latency: Double
  /// Bytes per second, one way, while as many go the other way.
  package var bandwidth: Double

  package init(host: String, isSameHost: Bool, latency: Double, bandwidth: Double) {
    (self.host, self.isSameHost, self.latency, self.bandwidth) = (host, isSameHost, latency, bandwidth)
  }

  private static let longMessage = 1 << 21

  /// Between rank 0 and a second rank of its host, and the first rank of each other host; on rank 0. `hosts`: of the ranks,
  /// on rank 0.
  static func all(_ hosts: [String], _ communicator: any Communicator) throws(CollectiveFailure) -> [NetworkMeasurement] {
    var partners: [Int] = []
    for (rank, host) in hosts.enumerated().dropFirst() where !partners.contains(where: { hosts[$0] == host }) { partners.append(rank) }
    partners = try communicator.broadcast(partners)
    var measured: [NetworkMeasurement] = []
    for partner in partners {
      let latency = try median(of: 9, with: partner, floats: 1, communicator)
      let seconds = try median(of: 3, with: partner, floats: longMessage, communicator)
      guard communicator.rank == 0 else { continue }
      measured.append(
        NetworkMeasurement(
          host: hosts[partner], isSameHost: hosts[partner] == hosts[0], latency: latency,
          bandwidth: Double(longMessage * MemoryLayout<Float>.stride) / max(seconds, 1e-9)))
    }
    return measured
  }

  /// Seconds in which rank 0 and a partner send each other so many numbers; those are too many for a rank that does not
  /// take part only by their count of 0.
  private static func median(
    of count: Int, with partner: Int, floats: Int, _ communicator: any Communicator
  ) throws(CollectiveFailure) -> Double {
    let rank = communicator.rank
    var counts = [Int](repeating: 0, count: communicator.size)
    if rank == 0 { counts[partner] = floats } else if rank == partner { counts[0] = floats }
    let blocks = BlockLayout(counts: counts)
    let (send, receive) = (
      UnsafeMutablePointer<Float>.allocate(capacity: max(1, floats)), UnsafeMutablePointer<Float>.allocate(capacity: max(1, floats))
    )
    defer {
      send.deallocate()
      receive.deallocate()
    }
    send.initialize(repeating: 1, count: max(1, floats))
    receive.initialize(repeating: 0, count: max(1, floats))
    var times: [Double] = []
    for _ in 0...count {
      try communicator.waitForAll()
      let watch = Stopwatch()
      try communicator.exchange(send, blocks, into: receive, blocks)
      times.append(watch.seconds)
    }
    // The first one opens connections.
    return Array(times.dropFirst()).median
  }
}
