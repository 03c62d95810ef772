import SystemSupport
import Testing

@Suite struct ThreadTeamTests {
  /// A cell a thread and task, without a lock: the thread sanitizer then sees whether `run` waits for all.
  @Test(arguments: [1, 2, 3, 7]) func everyThreadDoesEveryTaskOnce(count: Int) throws {
    nonisolated(unsafe) let counts = UnsafeMutableBufferPointer<Int>.allocate(capacity: count * 3)
    counts.initialize(repeating: 0)
    defer { counts.deallocate() }
    let team = try ThreadTeam(count: count) { thread, task in counts[thread * 3 + task] += 1 }
    for round in 1...200 {
      for task in 0..<3 { team.run(task) }
      // All threads are done when `run` returns.
      #expect(counts.allSatisfy { $0 == round })
    }
    team.stop()
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

  /// Whoever is free takes the next piece; each is done once.
  @Test(arguments: [1, 2, 5]) func aQueueDoesEachPieceOnce(threads: Int) throws {
    nonisolated(unsafe) let counts = UnsafeMutableBufferPointer<Int>.allocate(capacity: 300)
    counts.initialize(repeating: 0)
    defer { counts.deallocate() }
    let queue = try WorkQueue(threads: threads) { _, piece in counts[piece] += 1 }
    defer { queue.stop() }
    for pieces in [300, 0, 1, 7] {
      queue.run(pieces: pieces)
      for piece in 0..<300 { #expect(counts[piece] == (piece < pieces ? 1 : 0)) }
      counts.update(repeating: 0)
    }
  }
}
