import Communication
import SystemSupport

/// Blocks of a sharded table on their way to and from rank 0, which reads and writes checkpoints, and never holds the table as a whole.
///
/// Rank 0 alone works, as in `Communicator.fromRankZero`, and meanwhile asks for blocks of rows, or gives them out; the other ranks
/// answer, and sleep in between. Blocks stand in their places: those of others come to where they would stand in rank 0's own buffers,
/// which may give these pages back afterwards.
package final class TableTransfer {
  /// Numbers that are moved at a time at most, but for a single block: 16 MiB.
  package static let roundElements = 1 << 22

  /// What of a table is moved.
  package enum Part: Int32, Sendable {
    case words, biases
  }

  private enum Action: Int32 {
    case end, collect, distribute, keep
  }

  /// What rank 0 tells the others.
  private struct Request: PlainValue {
    var action = Action.end.rawValue
    var part: Int32 = 0
    var buffer: Int64 = 0
    var first: Int64 = 0
    var end: Int64 = 0
  }

  /// A buffer with a table: its rows (V, H), and their biases (V).
  package struct Table {
    package let words: UnsafeMutablePointer<Float>
    package let biases: UnsafeMutablePointer<Float>

    package init(words: UnsafeMutablePointer<Float>, biases: UnsafeMutablePointer<Float>) {
      (self.words, self.biases) = (words, biases)
    }
  }

  private let communicator: any Communicator
  private let ownership: RowOwnership
  private let hidden: Int
  private let tables: [Table]
  /// Second tables, made when first they are wanted.
  private var copies: [Table] = []
  private let makeCopies: () throws(ProgramFailure) -> [Table]
  private let roundElements: Int
  /// Of what moves between each rank and rank 0, as rank 0 sees it, and as this rank does.
  private var ofAll: BlockLayout
  private var ofOwn: BlockLayout
  private let nothing: BlockLayout
  private let buffer = GrowingBuffer<Float>(for: "the blocks of other ranks")
  /// MPI wants another place for nothing than for something.
  private let none = GrowingBuffer<Float>(for: "the blocks of other ranks")
  private var messageFailure: CollectiveFailure?

  /// - Parameters:
  ///   - tables: such as parameters and both moments; named by their places.
  ///   - makeCopies: makes as many for `keepCopies`, once.
  ///   - roundElements: tests make it small.
  package init(
    communicator: any Communicator, ownership: RowOwnership, hidden: Int, tables: [Table], roundElements: Int = TableTransfer.roundElements,
    makeCopies: @escaping () throws(ProgramFailure) -> [Table]
  ) {
    precondition(ownership.size == communicator.size && hidden > 0)
    self.communicator = communicator
    self.ownership = ownership
    self.hidden = hidden
    self.tables = tables
    self.makeCopies = makeCopies
    self.roundElements = roundElements
    nothing = BlockLayout(blocks: communicator.size)
    (ofAll, ofOwn) = (nothing, nothing)
  }

  /// The table's blocks, in stretches that are moved at once.
  package func stretches(of part: Part) -> [Range<Int>] {
    let blocks = max(1, roundElements / (ownership.blockRows * width(part)))
    return stride(from: 0, to: ownership.blockCount, by: blocks).map { $0..<min($0 + blocks, ownership.blockCount) }
  }

  /// Collective. Rank 0 runs `work`, which may call `collect` and `distribute`, and makes no collective calls besides. Every rank
  /// returns rank 0's value, or throws rank 0's failure.
  package func fromRankZero<Value: Communicable>(
    _ work: () throws(ProgramFailure) -> Value
  ) throws(CollectiveFailure) -> Value {
    if communicator.size == 1 { return try communicator.fromRankZero(work) }
    if communicator.rank != 0 {
      while let request = try nextRequest() { try move(request) }
      return try communicator.fromRankZero { () throws(ProgramFailure) -> Value in preconditionFailure("rank 0 has worked") }
    }
    messageFailure = nil
    var value: Value?
    var failure: ProgramFailure?
    do throws(ProgramFailure) { value = try work() } catch { failure = error }
    // What `work` made of it does not count: the ranks are no longer together.
    if let messageFailure { throw messageFailure }
    try announce(Request())
    let (result, problem) = (value, failure)
    return try communicator.fromRankZero { () throws(ProgramFailure) -> Value in
      if let problem { throw problem }
      guard let result else { preconditionFailure("a value, or a failure") }
      return result
    }
  }

  /// On rank 0, within `fromRankZero`. Puts other ranks' blocks into their places.
  package func collect(_ part: Part, ofTable table: Int, _ blocks: Range<Int>) throws(ProgramFailure) {
    try ask(.collect, part, table, blocks)
  }

  /// On rank 0, within `fromRankZero`. Brings blocks that stand in their places to their owners.
  package func distribute(_ part: Part, ofTable table: Int, _ blocks: Range<Int>) throws(ProgramFailure) {
    try ask(.distribute, part, table, blocks)
  }

  /// On rank 0, within `fromRankZero`. Every rank copies its own blocks of all tables to second ones, which are named by the places behind
  /// the first ones'; an earlier copy is lost.
  package func keepCopies() throws(ProgramFailure) { try ask(.keep, .words, 0, 0..<0) }

  private func ask(_ action: Action, _ part: Part, _ table: Int, _ blocks: Range<Int>) throws(ProgramFailure) {
    precondition(communicator.rank == 0)
    if communicator.size == 1 {
      if action == .keep { try copyOwnBlocks() }
      return
    }
    if let messageFailure { throw messageFailure.failure }
    let request = Request(
      action: action.rawValue, part: part.rawValue, buffer: Int64(table), first: Int64(blocks.lowerBound), end: Int64(blocks.upperBound))
    do throws(CollectiveFailure) {
      try announce(request)
      try move(request)
    } catch {
      messageFailure = error
      throw error.failure
    }
  }

  // MARK: - On every rank

  private func announce(_ request: Request) throws(CollectiveFailure) {
    // The others sleep until then.
    try communicator.waitForAll()
    var request = request
    try communicator.broadcast(overwriting: &request)
  }

  /// Rank 0's next request; nil: it is done.
  private func nextRequest() throws(CollectiveFailure) -> Request? {
    try communicator.waitForAll()
    var request = Request()
    try communicator.broadcast(overwriting: &request)
    return request.action == Action.end.rawValue ? nil : request
  }

  private func width(_ part: Part) -> Int { part == .words ? hidden : 1 }

  private func move(_ request: Request) throws(CollectiveFailure) {
    if request.action == Action.keep.rawValue {
      // Rank 0 cannot know of it: the run ends.
      do throws(ProgramFailure) { try copyOwnBlocks() } catch { throw CollectiveFailure(error, reach: .thisRank) }
      return
    }
    let tables = tables + copies
    guard let part = Part(rawValue: request.part), let action = Action(rawValue: request.action),
      tables.indices.contains(Int(request.buffer)), request.first >= 0, request.first <= request.end,
      request.end <= Int64(ownership.blockCount)
    else { throw CollectiveFailure(MessageReader.damage, reach: .thisRank) }
    let table = tables[Int(request.buffer)]
    let (base, width, rank) = (part == .words ? table.words : table.biases, width(part), communicator.rank)
    let blocks = Int(request.first)..<Int(request.end)

    ofAll.fill { owner in
      owner == 0 ? 0 : blocks.reduce(0) { $0 + (ownership.owner(ofBlock: $1) == owner ? ownership.rows(ofBlock: $1).count * width : 0) }
    }
    let own = rank == 0 ? 0 : Int(ofAll.counts[rank])
    ofOwn.fill { $0 == 0 ? own : 0 }
    buffer.resize(rank == 0 ? ofAll.total : own)
    let moved = buffer.base
    let owners = rank == 0 ? 1..<ownership.size : rank..<rank + 1
    func copyAll(packs: Bool) {
      for owner in owners {
        copy(blocks, of: owner, base, width, moved + (rank == 0 ? Int(ofAll.offsets[owner]) : 0), packs: packs)
      }
    }
    // Who sends receives nothing, and the other way round.
    if (action == .collect) == (rank != 0) {
      copyAll(packs: true)
      try communicator.exchange(moved, rank == 0 ? ofAll : ofOwn, into: none.base, nothing)
    } else {
      try communicator.exchange(none.base, nothing, into: moved, rank == 0 ? ofAll : ofOwn)
      copyAll(packs: false)
    }
    Liveness.tick()
  }

  private func copyOwnBlocks() throws(ProgramFailure) {
    if copies.isEmpty { copies = try makeCopies() }
    precondition(copies.count == tables.count)
    for (table, copy) in zip(tables, copies) {
      for block in ownership.blocks(of: communicator.rank) {
        let rows = ownership.rows(ofBlock: block)
        let first = rows.lowerBound * hidden
        (copy.words + first).update(from: table.words + first, count: rows.count * hidden)
        (copy.biases + rows.lowerBound).update(from: table.biases + rows.lowerBound, count: rows.count)
        Liveness.tick()
      }
    }
  }

  /// An owner's blocks of a stretch, from their places to one after the other, or back.
  private func copy(
    _ blocks: Range<Int>, of owner: Int, _ base: UnsafeMutablePointer<Float>, _ width: Int, _ moved: UnsafeMutablePointer<Float>,
    packs: Bool
  ) {
    var next = moved
    for block in blocks where ownership.owner(ofBlock: block) == owner {
      let rows = ownership.rows(ofBlock: block)
      let (place, count) = (base + rows.lowerBound * width, rows.count * width)
      if packs { next.update(from: place, count: count) } else { place.update(from: next, count: count) }
      next += count
    }
  }
}
