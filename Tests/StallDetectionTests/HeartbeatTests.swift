import StallDetection
import Testing

@Suite struct SipHashTests {
  /// The vectors published with the reference implementation: key 00 01 ... 0f, message 00 01 02 ...
  @Test(
    arguments: [
      (0, 0x726f_db47_dd0e_0e31), (1, 0x74f8_39c5_93dc_67fd), (7, 0xab02_00f5_8b01_d137), (8, 0x93f5_f579_9a93_2462),
      (15, 0xa129_ca61_49be_45e5),
    ] as [(Int, UInt64)])
  func givesThePublishedVectors(length: Int, expected: UInt64) {
    let hash = SipHash(key0: 0x0706_0504_0302_0100, key1: 0x0f0e_0d0c_0b0a_0908)
    #expect((0..<UInt8(length)).map { $0 }.withUnsafeBytes { hash($0) } == expected)
  }
}

/// Datagrams between ranks, and what others may send in their place.
@Suite struct HeartbeatTests {
  private static let key: [UInt64] = [0x1234_5678_9abc_def0, 42]

  private func seal(_ rank: Int, key: [UInt64] = key) -> HeartbeatSeal { HeartbeatSeal(rank: rank, of: 3, key: key) }

  private func snapshot(ticks: UInt64) -> RankProgress.Snapshot {
    var snapshot = RankProgress.Snapshot()
    (snapshot.phase, snapshot.step, snapshot.phases, snapshot.ticks) = (3, -7, 1 << 40, ticks)
    return snapshot
  }

  private func open(_ bytes: [UInt8], with seal: inout HeartbeatSeal) -> Heartbeat? {
    bytes.withUnsafeBytes { seal.open($0) }
  }

  @Test func arrivesAsItWasSent() {
    var (sender, receiver) = (seal(2), seal(0))
    for ticks in 1...3 as ClosedRange<UInt64> {
      let sent = snapshot(ticks: ticks)
      #expect(open(sender.seal(sent), with: &receiver) == Heartbeat(rank: 2, snapshot: sent))
    }
  }

  /// Whoever sees a datagram may send it again, later, or to another rank.
  @Test func aReplayIsNotBelieved() {
    var (sender, receiver, third) = (seal(2), seal(0), seal(1))
    let (first, second) = (sender.seal(snapshot(ticks: 1)), sender.seal(snapshot(ticks: 2)))
    #expect(open(second, with: &receiver) != nil)
    #expect(open(second, with: &receiver) == nil)
    // Older than what has come already.
    #expect(open(first, with: &receiver) == nil)
    // Numbers are a rank's own: another rank's datagrams are not held up by them.
    #expect(open(third.seal(snapshot(ticks: 1)), with: &receiver) != nil)
    // A rank does not listen to itself.
    #expect(open(first, with: &sender) == nil)
  }

  @Test func aForgedOneIsNotBelieved() {
    var (sender, receiver, stranger) = (seal(2), seal(0), seal(2, key: [Self.key[0], 43]))
    let good = sender.seal(snapshot(ticks: 1))
    for index in good.indices {
      var changed = good
      changed[index] ^= 1 << UInt8(index % 8)
      #expect(open(changed, with: &receiver) == nil, "byte \(index)")
    }
    for length in [0, 8, good.count - 1, good.count + 1] {
      #expect(open(Array((good + [0]).prefix(length)), with: &receiver) == nil)
    }
    #expect(open(stranger.seal(snapshot(ticks: 1)), with: &receiver) == nil)
    // A rank that this run does not have.
    var larger = HeartbeatSeal(rank: 3, of: 4, key: Self.key)
    #expect(open(larger.seal(snapshot(ticks: 1)), with: &receiver) == nil)
    // None of them has used the good one up.
    #expect(open(good, with: &receiver) != nil)
  }

  /// Through the loopback interface, with a flood of others' datagrams between.
  @Test func aSocketDropsWhatIsNotARanks() throws {
    let (from, to) = (try HeartbeatSocket(), try HeartbeatSocket())
    let address = try #require(to.addresses().first { $0.isLoopback })
    var (sender, receiver, stranger) = (seal(1), seal(0), seal(1, key: [1, 2]))
    let good = sender.seal(snapshot(ticks: 9))
    for datagram in [[], [UInt8](repeating: 7, count: 2000), stranger.seal(snapshot(ticks: 9)), good, good] {
      from.send(datagram, to: address)
    }
    to.wait(5)
    let (heartbeat, _) = try #require(to.receive(&receiver))
    #expect(heartbeat == Heartbeat(rank: 1, snapshot: snapshot(ticks: 9)))
    #expect(to.receive(&receiver) == nil)
  }

  @Test func loopbackAddressesAreKnown() throws {
    let addresses = try HeartbeatSocket().addresses()
    #expect(addresses.contains { $0.isLoopback })
    // 10.0.0.127, in the order of the network.
    var other = HeartbeatSocket.Address()
    other.socket.sin_addr.s_addr = UInt32(0x0a00_007f).bigEndian
    #expect(!other.isLoopback)
  }
}
