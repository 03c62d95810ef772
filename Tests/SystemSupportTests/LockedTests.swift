import SystemSupport
import Testing

@Suite struct LockedTests {
  @Test func oneThreadAtATimeHasTheValue() throws {
    struct Counts { var (first, second) = (0, 0) }
    final class Shared: Sendable { let counts = Locked(Counts()) }
    let shared = Shared()
    let team = try ThreadTeam(count: 4) { _, _ in
      for _ in 0..<5000 {
        shared.counts.withLock {
          $0.first += 1
          $0.second = $0.first
        }
      }
    }
    team.run(0)
    team.stop()
    #expect(shared.counts.withLock { $0.first == 20_000 && $0.second == 20_000 })
  }

  @Test func itIsFreeAfterAnError() throws {
    struct Refusal: Error {}
    let value = Locked("before")
    #expect(throws: Refusal.self) {
      try value.withLock {
        $0 = "after"
        throw Refusal()
      }
    }
    #expect(value.withLock { $0 } == "after")
  }
}
