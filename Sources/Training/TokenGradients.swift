import Communication
import SystemSupport
import TableSharding

/// The gradients that a step's tokens give to their rows of a sharded table, from the ranks whose gradient shards have them to the rows'
/// owners: one by one, in the order of the tokens, since it is in this order that they are added.
///
/// Letters: T tokens of this rank's blocks, H hidden.
final class TokenGradients: @unchecked Sendable {
  private let communicator: any Communicator
  private let ownership: RowOwnership
  private let hidden: Int
  /// Bytes that this rank has sent to others so far.
  private(set) var sentBytes = 0

  private var firstBlock = 0
  /// Of the own blocks: tokens (T), and gradients (T, H).
  private let ids = GrowingBuffer<Int32>(for: purpose)
  private let values = GrowingBuffer<Float>(for: purpose)
  /// Where each own block's tokens begin, and the end.
  private var starts: [Int] = []
  /// Tokens of each own block for each rank (ranks, own blocks), and of each rank's blocks for this one (blocks).
  private let ownCounts = GrowingBuffer<Int32>(for: purpose)
  private let counts = GrowingBuffer<Int32>(for: purpose)
  private var countLayouts: (send: BlockLayout, receive: BlockLayout)
  private let sent = GrowingBuffer<Float>(for: purpose)
  private let received = GrowingBuffer<Float>(for: purpose)
  private var rowLayouts: (send: BlockLayout, receive: BlockLayout)
  /// Where the rows of each block begin among those that came, and the end.
  private var receivedStarts: [Int] = []

  private static let purpose = "the gradients of tokens"

  init(communicator: any Communicator, ownership: RowOwnership, hidden: Int) {
    self.communicator = communicator
    self.ownership = ownership
    self.hidden = hidden
    let layout = BlockLayout(blocks: communicator.size)
    countLayouts = (layout, layout)
    rowLayouts = (layout, layout)
  }

  func begin(_ plan: LossPlan) {
    firstBlock = plan.blocksOfRank[communicator.rank].lowerBound
    starts.removeAll(keepingCapacity: true)
    var start = 0
    for block in plan.blocksOfRank[communicator.rank] {
      starts.append(start)
      // Without masked rows there is no gradient.
      start += plan.blocks[block].rows.isEmpty ? 0 : plan.blocks[block].tokenCount
    }
    starts.append(start)
    ids.resize(start)
    values.resize(start * hidden)
  }

  /// Where a block of this rank leaves its tokens (T) and their gradients (T, H).
  func place(ofBlock block: Int) -> (ids: UnsafeMutablePointer<Int32>, values: UnsafeMutablePointer<Float>) {
    let start = starts[block - firstBlock]
    return (ids.base + start, values.base + start * hidden)
  }

  /// Collective. Brings all of them to their owners.
  func exchange(_ plan: LossPlan) throws(CollectiveFailure) {
    let (size, width, own) = (communicator.size, hidden + 1, starts.count - 1)
    countLayouts.send.fill { _ in own }
    countLayouts.receive.fill { plan.blocksOfRank[$0].count }
    ownCounts.resize(size * own)
    counts.resize(plan.blocks.count)
    ownCounts.base.update(repeating: 0, count: size * own)
    for block in 0..<own {
      for token in starts[block]..<starts[block + 1] {
        ownCounts.base[ownership.owner(ofRow: Int(ids.base[token])) * own + block] += 1
      }
    }
    try communicator.exchange(ownCounts.base, countLayouts.send, into: counts.base, countLayouts.receive)
    receivedStarts.removeAll(keepingCapacity: true)
    var total = 0
    for block in plan.blocks.indices {
      let count = Int(counts.base[block])
      guard (0...plan.blocks[block].tokenCount).contains(count) else { throw CollectiveFailure(MessageReader.damage, reach: .thisRank) }
      receivedStarts.append(total)
      total += count
    }
    receivedStarts.append(total)
    rowLayouts.send.fill { rank in (0..<own).reduce(0) { $0 + Int(ownCounts.base[rank * own + $1]) } * width }
    rowLayouts.receive.fill {
      (receivedStarts[plan.blocksOfRank[$0].upperBound] - receivedStarts[plan.blocksOfRank[$0].lowerBound]) * width
    }
    sent.resize(rowLayouts.send.total)
    received.resize(rowLayouts.receive.total)
    pack()
    try communicator.exchange(sent.base, rowLayouts.send, into: received.base, rowLayouts.receive)
    sentBytes += (rowLayouts.send.total - Int(rowLayouts.send.counts[communicator.rank]) + own * (size - 1)) * 4
    Liveness.tick()
  }

  /// A row as its id, whose bits nobody looks at, and its numbers; a rank's rows in the order of the tokens.
  private func pack() {
    for owner in 0..<communicator.size {
      var place = sent.base + Int(rowLayouts.send.offsets[owner])
      for token in 0..<starts[starts.count - 1] where ownership.owner(ofRow: Int(ids.base[token])) == owner {
        UnsafeMutableRawPointer(place).storeBytes(of: ids.base[token], as: Int32.self)
        (place + 1).update(from: values.base + token * hidden, count: hidden)
        place += hidden + 1
      }
    }
  }

  /// Calls `take` with what has come of a block, in order: rows of this rank and their gradients (H).
  func forEachRow(ofBlock block: Int, _ take: (_ row: Int, _ values: UnsafePointer<Float>) -> Void) {
    for index in receivedStarts[block]..<receivedStarts[block + 1] {
      let place = received.base + index * (hidden + 1)
      take(Int(UnsafeRawPointer(place).load(as: Int32.self)), UnsafePointer(place + 1))
    }
  }
}
