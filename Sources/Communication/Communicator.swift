import SystemSupport

/// The ranks of a run, as everything above this module sees them.
///
/// Calls that throw a `CollectiveFailure` are collective: every rank makes them in the same order. Only the thread that made the
/// communicator may call it. The calls here move bytes and numbers; those that most code wants are made of them:
/// `Communicator+Values.swift` moves values, `Communicator+Agreement.swift` keeps the ranks together.
public protocol Communicator: AnyObject {
  /// 0 ..< size; rank 0 owns the disk and the terminal.
  var rank: Int { get }
  /// How many ranks there are.
  var size: Int { get }
  /// The host of each rank, by rank; the same on all ranks, and known from the beginning.
  var hosts: [String] { get }
  /// What carries the messages, such as "Open MPI v4.1.4"; nil where there is nothing to carry.
  var library: String? { get }

  /// What ends the run where these calls wait for a rank that does not come any more, `finish` included; nil: nothing does.
  var watch: (any LeaveTakingWatch)? { get set }

  /// Overwrites `bytes` on every rank with rank 0's; the count is the same everywhere and may exceed 2^31.
  func broadcastBytes(_ bytes: UnsafeMutableRawBufferPointer) throws(CollectiveFailure)

  /// The same among those ranks alone that pass true, of which rank 0 is one; others' bytes do not count.
  func broadcastBytes(_ bytes: UnsafeMutableRawBufferPointer, among takesPart: Bool) throws(CollectiveFailure)

  /// Every rank's bytes, in rank order, on rank 0; an empty array elsewhere. Counts may differ between ranks.
  func gatherBytes(_ bytes: [UInt8]) throws(CollectiveFailure) -> [[UInt8]]

  /// Part k of rank 0's `parts`, of which there is one per rank, on rank k; those of other ranks do not count.
  func scatterBytes(_ parts: [[UInt8]]) throws(CollectiveFailure) -> [UInt8]

  /// Every rank's record in rank order, on every rank: `records.count == size * record.count`. Allocates nothing.
  func allGatherRecords(
    _ record: UnsafeRawBufferPointer, into records: UnsafeMutableRawBufferPointer) throws(CollectiveFailure)

  /// Waits until every rank is here, sleeping in between, so that ranks that wait for rank 0's work leave it the cores.
  func waitForAll() throws(CollectiveFailure)

  /// Replaces `values` on every rank by their sum over all ranks, added in whatever order the implementation likes. The
  /// count is the same everywhere and may exceed 2^31.
  func sumInAnyOrder(_ values: UnsafeMutableBufferPointer<Float>) throws(CollectiveFailure)

  /// Sends block k of `send` to rank k, for every k; block k of `receive` is what rank k sent here. Allocates nothing.
  func exchange(
    _ send: UnsafePointer<Float>, _ sendBlocks: BlockLayout,
    into receive: UnsafeMutablePointer<Float>, _ receiveBlocks: BlockLayout) throws(CollectiveFailure)

  /// Every rank's block, on every rank: block k of `all` is rank k's `own`, which may not overlap `all`. Allocates
  /// nothing.
  func allGatherBlocks(
    _ own: UnsafePointer<Float>, into all: UnsafeMutablePointer<Float>, _ blocks: BlockLayout) throws(CollectiveFailure)

  /// Finalises MPI on every rank. Print first; make no further calls.
  func finish() throws(CollectiveFailure)

  /// Ends the whole run at once, with this exit code, because of something that only this rank knows.
  func abort(_ exitCode: ProgramExitCode) -> Never
}

extension Communicator {
  public var library: String? { nil }

  /// The host of this rank.
  public var hostName: String { hosts[rank] }
}

/// Ends a run whose ranks wait for one that does not come any more: these calls have no time limit of their own.
public protocol LeaveTakingWatch: AnyObject {
  /// The ranks wait for each other once more.
  func leaveTakingBegins()
  /// The run is over.
  func stop()
}

/// Where a buffer's blocks lie, one block per rank; in elements, as MPI's 32-bit counts.
public struct BlockLayout: Sendable {
  /// Elements of each block (ranks).
  public private(set) var counts: [Int32]
  /// First element of each block (ranks).
  public private(set) var offsets: [Int32]

  /// Blocks one after the other without gaps. All of them together have less than 2^31 elements.
  public init(counts: [Int]) {
    self.init(blocks: counts.count)
    fill { counts[$0] }
  }

  /// Empty blocks, which `fill` changes.
  package init(blocks: Int) {
    counts = [Int32](repeating: 0, count: blocks)
    offsets = counts
  }

  /// Becomes as many blocks of other sizes: `count` has that of each. Allocates nothing.
  package mutating func fill(_ count: (Int) -> Int) {
    var next = 0
    for block in counts.indices {
      let own = count(block)
      precondition(own >= 0 && next + own < Int(Int32.max), "blocks beyond MPI's 32-bit counts")
      counts[block] = Int32(own)
      offsets[block] = Int32(next)
      next += own
    }
  }

  /// The elements of a block.
  package subscript(block: Int) -> Range<Int> { Int(offsets[block])..<(Int(offsets[block]) + Int(counts[block])) }

  /// Elements of all blocks together.
  public var total: Int { counts.reduce(0) { $0 + Int($1) } }
}
