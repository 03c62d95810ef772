import Communication
import Evaluation
import Foundation
import InteractionData
import Masking
import SystemSupport
import TestSupport
import Testing

/// The ranks of a run as threads of this process.
final class RankGroup: @unchecked Sendable {
  let size: Int
  private let condition = NSCondition()
  private var arrived = 0
  private var generation = 0
  var slots: [[UInt8]]
  /// What each rank sends to each.
  var parts: [[[UInt8]]]

  init(size: Int) {
    self.size = size
    parts = [[[UInt8]]](repeating: [], count: size)
    slots = [[UInt8]](repeating: [], count: size)
  }

  func barrier() {
    condition.lock()
    defer { condition.unlock() }
    let mine = generation
    arrived += 1
    if arrived == size {
      arrived = 0
      generation += 1
      condition.broadcast()
    } else {
      while generation == mine { condition.wait() }
    }
  }

  func set(_ bytes: [UInt8], at rank: Int) {
    condition.lock()
    defer { condition.unlock() }
    slots[rank] = bytes
  }

  func set(parts: [[UInt8]], at rank: Int) {
    condition.lock()
    defer { condition.unlock() }
    self.parts[rank] = parts
  }
}

final class ThreadCommunicator: Communicator {
  let rank: Int
  private let group: RankGroup
  var size: Int { group.size }
  var hosts: [String] { [String](repeating: "test", count: size) }
  var watch: (any LeaveTakingWatch)?

  init(rank: Int, group: RankGroup) {
    self.rank = rank
    self.group = group
  }

  func broadcastBytes(_ bytes: UnsafeMutableRawBufferPointer) throws(CollectiveFailure) {
    if rank == 0 { group.set(Array(bytes), at: 0) }
    group.barrier()
    let sent = group.slots[0]
    guard sent.count == bytes.count else {
      throw .onThisRank(.internalFault, "rank 0 broadcasts \(sent.count) bytes, rank \(rank) expects \(bytes.count)")
    }
    bytes.copyBytes(from: sent)
    group.barrier()
  }

  func broadcastBytes(_ bytes: UnsafeMutableRawBufferPointer, among takesPart: Bool) throws(CollectiveFailure) { throw Self.unexpected }

  func gatherBytes(_ bytes: [UInt8]) throws(CollectiveFailure) -> [[UInt8]] {
    group.set(bytes, at: rank)
    group.barrier()
    let result = rank == 0 ? group.slots : []
    group.barrier()
    return result
  }

  func scatterBytes(_ parts: [[UInt8]]) throws(CollectiveFailure) -> [UInt8] {
    if rank == 0 { for rank in 1..<max(size, 1) { group.set(parts[rank], at: rank) } }
    group.barrier()
    let own = rank == 0 ? parts[0] : group.slots[rank]
    group.barrier()
    return own
  }

  func allGatherRecords(
    _ record: UnsafeRawBufferPointer, into records: UnsafeMutableRawBufferPointer
  ) throws(CollectiveFailure) {
    group.set(Array(record), at: rank)
    group.barrier()
    records.copyBytes(from: group.slots.flatMap { $0 })
    group.barrier()
  }

  func waitForAll() throws(CollectiveFailure) { group.barrier() }

  func finish() throws(CollectiveFailure) {}

  func abort(_ exitCode: ProgramExitCode) -> Never { exit(exitCode.rawValue) }

  // Evaluation sums nothing over ranks.

  func sumInAnyOrder(_ values: UnsafeMutableBufferPointer<Float>) throws(CollectiveFailure) { throw Self.unexpected }

  func exchange(
    _ send: UnsafePointer<Float>, _ sendBlocks: BlockLayout,
    into receive: UnsafeMutablePointer<Float>, _ receiveBlocks: BlockLayout
  ) throws(CollectiveFailure) {
    let parts = (0..<size).map { rank in
      Array(UnsafeRawBufferPointer(start: send + Int(sendBlocks.offsets[rank]), count: 4 * Int(sendBlocks.counts[rank])))
    }
    try exchange(parts, into: receive, receiveBlocks)
  }

  func allGatherBlocks(
    _ own: UnsafePointer<Float>, into all: UnsafeMutablePointer<Float>, _ blocks: BlockLayout
  ) throws(CollectiveFailure) {
    let part = Array(UnsafeRawBufferPointer(start: own, count: 4 * Int(blocks.counts[rank])))
    try exchange([[UInt8]](repeating: part, count: size), into: all, blocks)
  }

  /// Part k goes to rank k.
  private func exchange(
    _ parts: [[UInt8]], into receive: UnsafeMutablePointer<Float>, _ blocks: BlockLayout
  ) throws(CollectiveFailure) {
    group.set(parts: parts, at: rank)
    group.barrier()
    let received = (0..<size).map { group.parts[$0][rank] }
    group.barrier()
    for (sender, bytes) in received.enumerated() {
      guard bytes.count == 4 * Int(blocks.counts[sender]) else { throw Self.unexpected }
      UnsafeMutableRawPointer(receive + Int(blocks.offsets[sender])).copyMemory(from: bytes, byteCount: bytes.count)
    }
  }

  private static let unexpected = CollectiveFailure.onThisRank(.internalFault, "not what evaluation asks for")
}

final class RankResults<R: Sendable>: @unchecked Sendable {
  let lock = NSLock()
  var values: [Int: Result<R, CollectiveFailure>] = [:]
}

/// Runs a body on each of `size` ranks; its results in rank order.
func onRanks<R: Sendable>(
  _ size: Int, _ body: @escaping @Sendable (ThreadCommunicator) throws(CollectiveFailure) -> R
) -> [Result<R, CollectiveFailure>] {
  let group = RankGroup(size: size)
  let results = RankResults<R>()
  let done = DispatchSemaphore(value: 0)
  for rank in 0..<size {
    Thread {
      let communicator = ThreadCommunicator(rank: rank, group: group)
      let result: Result<R, CollectiveFailure>
      do throws(CollectiveFailure) { result = .success(try body(communicator)) } catch { result = .failure(error) }
      results.lock.withLock { results.values[rank] = result }
      done.signal()
    }.start()
  }
  for _ in 0..<size { done.wait() }
  return results.lock.withLock { (0..<size).compactMap { results.values[$0] } }
}

func solo() -> ThreadCommunicator { ThreadCommunicator(rank: 0, group: RankGroup(size: 1)) }

/// Scores by a function of the query's tokens (without `[MASK]`) and the token scored.
final class FunctionScorer: SequenceScorer {
  let vocabularySize: Int
  private let score: (_ query: ArraySlice<Int32>, _ token: Int) -> Float
  private var values: UnsafeMutableBufferPointer<Float> = .allocate(capacity: 0)
  /// Instances of each call.
  private(set) var calls: [Int] = []

  init(itemCount: Int, score: @escaping (ArraySlice<Int32>, Int) -> Float) {
    vocabularySize = itemCount + 4
    self.score = score
  }

  deinit { values.deallocate() }

  func scores(_ batch: PackedBatch) throws(ProgramFailure) -> UnsafeBufferPointer<Float> {
    calls.append(batch.instanceCount)
    values.deallocate()
    values = .allocate(capacity: batch.instanceCount * vocabularySize)
    for instance in 0..<batch.instanceCount {
      let query = batch.tokens[batch.tokenRange(of: instance)].dropLast()
      for token in 0..<vocabularySize {
        values.initializeElement(at: instance * vocabularySize + token, to: score(query, token))
      }
    }
    return UnsafeBufferPointer(values)
  }
}

/// Few distinct values, so that there are ties; depends on the whole query.
func mixedScore(_ query: ArraySlice<Int32>, _ token: Int) -> Float {
  var mixed = SeededGenerator(seed: UInt64(token))
  for item in query { mixed.state = mixed.next() ^ UInt64(item) }
  return Float(mixed.next() % 23) / 4 - 3
}

func dataset(_ sequences: [[Int32]], itemCount: Int) -> Dataset {
  var counts = [Int64](repeating: 0, count: itemCount)
  for item in sequences.joined() { counts[Int(item) - 1] += 1 }
  return Dataset(
    name: "test", itemIDs: ExternalIDs((0..<itemCount).map { Array("i\($0)".utf8) }), itemCounts: counts,
    userIDs: ExternalIDs((0..<sequences.count).map { Array("u\($0)".utf8) }), sequences: Sequences(sequences),
    fingerprint: "")
}

/// Histories of 1 to `longest` items that favour low ids and repeat items.
func randomDataset(users: Int, itemCount: Int, longest: Int, seed: UInt64) -> Dataset {
  var random = SeededGenerator(seed: seed)
  let sequences = (0..<users).map { _ in
    (0..<Int.random(in: 1...longest, using: &random)).map { _ in
      let place = Double.random(in: 0..<1, using: &random)
      return Int32(1 + Int(Double(itemCount) * place * place))
    }
  }
  return dataset(sequences, itemCount: itemCount)
}

/// Tests/EvaluationTests/Fixtures/numpy_draws.json, made by Tests/Reference/numpy_draws.py.
struct NumPyFixture: Decodable {
  struct Raw: Decodable { var seed: UInt32, first: [UInt32], later: [UInt32] }
  struct Samples: Decodable { var seed: UInt32, values: [String] }
  struct Integers: Decodable { var seed: UInt32, low: Int, high: Int, values: [Int], next: String }
  struct Choices: Decodable { var seed: UInt32, counts: [Int64], size: Int, drawn: [[Int]], next: String }
  struct Negatives: Decodable {
    var sequences: [[Int32]], counts: [Int64]
    var pop100: [String: [[Int32]]], uniform100: [String: [[Int32]]]
  }
  var raw: [Raw], samples: [Samples], integers: [Integers], choices: [Choices], negatives: [Negatives]

  static func load() throws -> NumPyFixture {
    let url = try #require(Bundle.module.url(forResource: "Fixtures/numpy_draws", withExtension: "json"))
    return try JSONDecoder().decode(NumPyFixture.self, from: Data(contentsOf: url))
  }
}

/// All ranks say that this user's scores are not finite.
func expectNotFinite<Value>(_ results: [Result<Value, CollectiveFailure>], ranks: Int, user: Int) {
  #expect(results.count == ranks)
  for result in results {
    guard case .failure(let error) = result else {
      Issue.record("no failure")
      continue
    }
    #expect(error.exitCode == .internalFault && error.reach == .everyRank)
    #expect(error.message.contains("user \(user) "))
  }
}
