/// What ranks tell each other behind MPI's back, as one datagram.
package struct Heartbeat: Equatable, Sendable {
  package var rank: Int
  package var snapshot: RankProgress.Snapshot

  package init(rank: Int, snapshot: RankProgress.Snapshot) {
    self.rank = rank
    self.snapshot = snapshot
  }
}

/// Closes and opens the datagrams of one run's heartbeats. The ranks share a key that went over MPI; each datagram carries a number
/// that its sender has not used before, and a hash that only the key gives. What anybody else makes up, changes, or sends once more is
/// not believed: it could name the wrong rank, or keep a dead run alive.
package struct HeartbeatSeal: Sendable {
  /// A datagram: rank, phase, step, phases, ticks and number as little-endian words, then the hash of these.
  package static let byteCount = 7 * 8

  private let rank: Int
  private let hash: SipHash
  private var lastSent: UInt64 = 0
  /// Of each rank, the highest number that has come from it.
  private var lastReceived: [UInt64]

  /// - Parameter key: two words that nobody else knows, the same on all ranks.
  package init(rank: Int, of size: Int, key: [UInt64]) {
    precondition(key.count == 2)
    self.rank = rank
    hash = SipHash(key0: key[0], key1: key[1])
    lastReceived = [UInt64](repeating: 0, count: size)
  }

  /// This rank's datagram. Each is another one.
  package mutating func seal(_ snapshot: RankProgress.Snapshot) -> [UInt8] {
    lastSent += 1
    let words = [
      UInt64(rank), UInt64(snapshot.phase), UInt64(bitPattern: snapshot.step), snapshot.phases, snapshot.ticks, lastSent,
    ]
    var bytes: [UInt8] = []
    for word in words { append(word, to: &bytes) }
    append(bytes.withUnsafeBytes { hash($0) }, to: &bytes)
    return bytes
  }

  /// What a datagram says; nil for anything but a heartbeat of another rank of this run that is newer than all before it.
  package mutating func open(_ datagram: UnsafeRawBufferPointer) -> Heartbeat? {
    guard datagram.count == Self.byteCount else { return nil }
    func word(_ index: Int) -> UInt64 {
      UInt64(littleEndian: datagram.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self))
    }
    guard hash(UnsafeRawBufferPointer(rebasing: datagram[..<(6 * 8)])) == word(6),
      let sender = Int(exactly: word(0)), lastReceived.indices.contains(sender), sender != rank,
      word(5) > lastReceived[sender]
    else { return nil }
    lastReceived[sender] = word(5)
    var snapshot = RankProgress.Snapshot()
    snapshot.phase = UInt8(truncatingIfNeeded: word(1))
    snapshot.step = Int64(bitPattern: word(2))
    (snapshot.phases, snapshot.ticks) = (word(3), word(4))
    return Heartbeat(rank: sender, snapshot: snapshot)
  }

  private func append(_ word: UInt64, to bytes: inout [UInt8]) {
    withUnsafeBytes(of: word.littleEndian) { bytes.append(contentsOf: $0) }
  }
}
