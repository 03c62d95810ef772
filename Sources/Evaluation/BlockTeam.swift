import Communication
import SystemSupport

/// A rank's threads in an evaluation: each scores whole blocks, whichever comes next, so which one does is of no consequence.
final class BlockTeam: UserScoring {
  let blocksPerRound = BlockTeam.mostBlocksPerRound
  private let work: Work
  private let queue: WorkQueue

  /// One thread per scorer. Each asks before a block whether it should stop; the block then fails with the exit code `stopped`.
  init(_ scorers: [BlockScorer], _ shouldStop: @escaping @Sendable () -> Bool) throws(ProgramFailure) {
    let work = Work(scorers, shouldStop)
    self.work = work
    queue = try WorkQueue(threads: scorers.count) { thread, piece in work.score(thread: thread, piece: piece) }
  }

  deinit { queue.stop() }

  /// Its own.
  func blocksSeen(of count: Int, ranks: Int) -> Int { (count + ranks - 1) / ranks }

  func score(_ own: [Int], of round: Range<Int>) -> [Result<[UserResult], ProgramFailure>] {
    work.begin(own)
    queue.run(pieces: own.count)
    return work.take()
  }

  /// What the threads share: each writes into places of its own.
  private final class Work: @unchecked Sendable {
    private let scorers: [BlockScorer]
    private let shouldStop: @Sendable () -> Bool
    private var blocks: [Int] = []
    private var results = UnsafeMutableBufferPointer<Result<[UserResult], ProgramFailure>>(start: nil, count: 0)

    init(_ scorers: [BlockScorer], _ shouldStop: @escaping @Sendable () -> Bool) {
      self.scorers = scorers
      self.shouldStop = shouldStop
    }

    func begin(_ blocks: [Int]) {
      self.blocks = blocks
      results = .allocate(capacity: blocks.count)
      results.initialize(repeating: .success([]))
    }

    func score(thread: Int, piece: Int) {
      do throws(ProgramFailure) {
        if shouldStop() { throw ProgramFailure(.stopped, "the evaluation was asked to stop") }
        results[piece] = .success(try scorers[thread].score(block: blocks[piece]))
        Activity.advance(by: 1)
      } catch {
        results[piece] = .failure(error)
      }
    }

    func take() -> [Result<[UserResult], ProgramFailure>] {
      defer {
        results.deinitialize()
        results.deallocate()
      }
      return Array(results)
    }
  }
}
