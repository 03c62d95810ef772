import Communication
import Foundation
import SystemSupport

/// Several ranks as threads of this process: what a test needs to look into all of them. Only the calls that move bytes are there.
final class ThreadRanks: @unchecked Sendable {
  private let condition = NSCondition()
  private let size: Int
  private var arrived = 0
  private var generation = 0
  private var slots: [[UInt8]]

  /// Runs `body` on every rank and returns what each gave, in rank order.
  static func run<R: Sendable>(_ size: Int, _ body: @escaping @Sendable (any Communicator) -> R) -> [R] {
    let ranks = ThreadRanks(size)
    let results = Results<R>(size)
    let group = DispatchGroup()
    for rank in 0..<size {
      group.enter()
      Thread {
        results.set(rank, body(ThreadCommunicator(ranks, rank: rank)))
        group.leave()
      }.start()
    }
    group.wait()
    return results.all
  }

  private final class Results<R>: @unchecked Sendable {
    private let lock = NSLock()
    private var values: [R?]
    init(_ size: Int) { values = [R?](repeating: nil, count: size) }
    func set(_ rank: Int, _ value: R) { lock.withLock { values[rank] = value } }
    var all: [R] { lock.withLock { values.compactMap { $0 } } }
  }

  private init(_ size: Int) {
    self.size = size
    slots = [[UInt8]](repeating: [], count: size)
  }

  /// Everybody's bytes, for everybody.
  fileprivate func exchange(_ bytes: [UInt8], rank: Int) -> [[UInt8]] {
    condition.lock()
    slots[rank] = bytes
    condition.unlock()
    barrier()
    let all = condition.withLock { slots.map { $0 } }
    barrier()
    return all
  }

  private func barrier() {
    condition.lock()
    defer { condition.unlock() }
    arrived += 1
    if arrived == size {
      arrived = 0
      generation += 1
      condition.broadcast()
      return
    }
    let own = generation
    while generation == own { condition.wait() }
  }

  private final class ThreadCommunicator: Communicator {
    let rank: Int
    var size: Int { ranks.size }
    var hosts: [String] { (0..<size).map { "host\($0)" } }
    var watch: (any LeaveTakingWatch)?
    private let ranks: ThreadRanks

    init(_ ranks: ThreadRanks, rank: Int) {
      self.ranks = ranks
      self.rank = rank
    }

    func broadcastBytes(_ bytes: UnsafeMutableRawBufferPointer) {
      let all = ranks.exchange(rank == 0 ? Array(bytes) : [], rank: rank)
      bytes.copyBytes(from: all[0])
    }

    func broadcastBytes(_ bytes: UnsafeMutableRawBufferPointer, among takesPart: Bool) { preconditionFailure("not in these tests") }

    func gatherBytes(_ bytes: [UInt8]) -> [[UInt8]] {
      let all = ranks.exchange(bytes, rank: rank)
      return rank == 0 ? all : []
    }

    func scatterBytes(_ parts: [[UInt8]]) -> [UInt8] {
      var part: [UInt8] = []
      for receiver in 0..<size {
        let all = ranks.exchange(rank == 0 ? parts[receiver] : [], rank: rank)
        if receiver == rank { part = all[0] }
      }
      return part
    }

    func allGatherRecords(_ record: UnsafeRawBufferPointer, into records: UnsafeMutableRawBufferPointer) {
      records.copyBytes(from: ranks.exchange(Array(record), rank: rank).joined())
    }

    func waitForAll() { _ = ranks.exchange([], rank: rank) }
    func finish() {}
    func abort(_ exitCode: ProgramExitCode) -> Never { preconditionFailure("aborted with \(exitCode)") }

    func sumInAnyOrder(_ values: UnsafeMutableBufferPointer<Float>) { preconditionFailure("not in these tests") }
    func exchange(
      _ send: UnsafePointer<Float>, _ sendBlocks: BlockLayout, into receive: UnsafeMutablePointer<Float>,
      _ receiveBlocks: BlockLayout
    ) {
      let offsets = sendBlocks.offsets.withUnsafeBytes(Array.init)
      let bytes = Array(UnsafeRawBufferPointer(start: send, count: 4 * sendBlocks.total))
      for (sender, message) in ranks.exchange(offsets + bytes, rank: rank).enumerated() {
        let start = message.withUnsafeBytes { Int($0.loadUnaligned(fromByteOffset: 4 * rank, as: Int32.self)) }
        let part = message.dropFirst(4 * size + 4 * start).prefix(4 * Int(receiveBlocks.counts[sender]))
        UnsafeMutableRawPointer(receive + Int(receiveBlocks.offsets[sender])).copyMemory(from: Array(part), byteCount: part.count)
      }
    }
    func allGatherBlocks(_ own: UnsafePointer<Float>, into all: UnsafeMutablePointer<Float>, _ blocks: BlockLayout) {
      let bytes = Array(UnsafeRawBufferPointer(start: own, count: 4 * Int(blocks.counts[rank])))
      for (sender, part) in ranks.exchange(bytes, rank: rank).enumerated() {
        UnsafeMutableRawPointer(all + Int(blocks.offsets[sender])).copyMemory(from: part, byteCount: part.count)
      }
    }
  }
}
