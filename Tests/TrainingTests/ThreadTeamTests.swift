import Synchronization
import Testing
import Training

@Suite struct ThreadTeamTests {
  /// Counts of (thread, task), as many threads write them.
  final class Counts: Sendable {
    let values = Mutex<[Int: Int]>([:])
    func add(_ thread: Int, _ task: Int) { values.withLock { $0[thread * 100 + task, default: 0] += 1 } }
  }

  @Test(arguments: [1, 2, 3, 7]) func everyThreadDoesEveryTaskOnce(count: Int) throws {
    let counts = Counts()
    let team = try ThreadTeam(count: count) { thread, task in counts.add(thread, task) }
    for round in 1...200 {
      for task in 0..<3 { team.run(task) }
      // All threads are done when `run` returns.
      #expect(counts.values.withLock { $0.values.reduce(0, +) } == round * 3 * count)
    }
    team.stop()
    let all = counts.values.withLock { $0 }
    #expect(all.count == 3 * count && all.values.allSatisfy { $0 == 200 })
  }

  @Test func aTeamThatNeverWorkedCanBeStopped() throws {
    let team = try ThreadTeam(count: 4) { _, _ in }
    team.stop()
    team.stop()
  }

  /// What one task wrote, the next one's threads see.
  @Test func tasksFollowEachOther() throws {
    let count = 3
    nonisolated(unsafe) let values = UnsafeMutableBufferPointer<Int>.allocate(capacity: count)
    values.initialize(repeating: 0)
    defer { values.deallocate() }
    nonisolated(unsafe) let sums = UnsafeMutableBufferPointer<Int>.allocate(capacity: count)
    sums.initialize(repeating: 0)
    defer { sums.deallocate() }
    let team = try ThreadTeam(count: count) { thread, task in
      if task == 0 { values[thread] += thread + 1 } else { sums[thread] = values.reduce(0, +) }
    }
    for round in 1...500 {
      team.run(0)
      team.run(1)
      #expect(sums.allSatisfy { $0 == 6 * round })
    }
    team.stop()
  }
}
