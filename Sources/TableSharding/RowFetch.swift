import Communication
import SystemSupport

/// Brings rows of a sharded table from their owners to the ranks that read them, with their biases.
///
/// Letters: V rows, H numbers of a row. In rounds of a bounded number of rows, so that no message grows with what is wanted and MPI's
/// 32-bit counts suffice: each rank asks the owners for the rows of a round by their ids, and they answer in the same order. What a rank
/// receives in a round is bounded by `roundElements` / ranks, what it sends by `roundElements`, whatever the others want.
/// Allocates nothing once its buffers have grown to what was needed most.
package final class RowFetch {
  /// Numbers that a rank sends or receives in a round at most: 16 MiB.
  package static let roundElements = 1 << 22

  private let communicator: any Communicator
  private let ownership: RowOwnership
  private let hidden: Int
  /// Of other ranks' rows, that a rank may want in a round.
  private let rowsPerRound: Int
  /// Rows wanted and rounds needed, of each rank: two numbers per pair of ranks.
  private let headers: BlockLayout
  private let ownHeaders: UnsafeMutablePointer<Int32>
  private let othersHeaders: UnsafeMutablePointer<Int32>
  private var wanted: BlockLayout
  private var asked: BlockLayout
  private var wantedRows: BlockLayout
  private var askedRows: BlockLayout
  /// Rows of a round, per owner; and, while they are sorted by it, where its next id goes.
  private var counts: [Int]
  private let ids = GrowingBuffer<Int32>(for: "the rows of other ranks")
  private let askedIDs = GrowingBuffer<Int32>(for: "the rows of other ranks")
  private let sent = GrowingBuffer<Float>(for: "the rows of other ranks")
  private let received = GrowingBuffer<Float>(for: "the rows of other ranks")
  /// Called with each row of this rank before it is sent.
  package var beforeSending: (Int) -> Void = { _ in }
  /// Bytes that this rank has sent to others so far.
  package private(set) var sentBytes = 0

  /// - Parameter roundElements: tests make it small.
  package init(
    communicator: any Communicator, ownership: RowOwnership, hidden: Int, roundElements: Int = RowFetch.roundElements
  ) {
    precondition(ownership.size == communicator.size && hidden > 0)
    let size = communicator.size
    self.communicator = communicator
    self.ownership = ownership
    self.hidden = hidden
    rowsPerRound = max(1, roundElements / (hidden + 1) / size)
    headers = BlockLayout(counts: [Int](repeating: 2, count: size))
    ownHeaders = .allocate(capacity: 2 * size)
    ownHeaders.initialize(repeating: 0, count: 2 * size)
    othersHeaders = .allocate(capacity: 2 * size)
    othersHeaders.initialize(repeating: 0, count: 2 * size)
    (wanted, asked) = (BlockLayout(blocks: size), BlockLayout(blocks: size))
    (wantedRows, askedRows) = (wanted, asked)
    counts = [Int](repeating: 0, count: size)
  }

  deinit {
    ownHeaders.deallocate()
    othersHeaders.deallocate()
  }

  /// Bytes of its buffers, where a rank wants so many rows of others at a time.
  package static func byteCount(rows: Double, hidden: Int) -> Double {
    2 * min(rows * Double(hidden + 2), Double(roundElements)) * Double(MemoryLayout<Float>.stride)
  }

  /// Collective. Puts the rows of other ranks among `ids`, ascending and each once, into their places: id k at `words` + k H, its bias at
  /// `biases` + k. Rows of this rank are read where they stand, and sent to whom wants them.
  package func fetch(
    _ wantedIDs: UnsafeBufferPointer<Int32>, words: UnsafeMutablePointer<Float>, biases: UnsafeMutablePointer<Float>
  ) throws(CollectiveFailure) {
    if communicator.size == 1 { return }
    let rank = communicator.rank
    let foreign = wantedIDs.count { ownership.owner(ofRow: Int($0)) != rank }
    let ownRounds = (foreign + rowsPerRound - 1) / rowsPerRound
    var (next, round, rounds) = (0, 0, 0)
    repeat {
      next = sortByOwner(wantedIDs, from: next)
      for owner in counts.indices {
        (ownHeaders[2 * owner], ownHeaders[2 * owner + 1]) = (wanted.counts[owner], Int32(ownRounds))
      }
      try communicator.exchange(ownHeaders, headers, into: othersHeaders, headers)
      for other in counts.indices { rounds = max(rounds, Int(othersHeaders[2 * other + 1])) }
      // Nobody wants anything, and everybody knows it.
      if rounds == 0 { return }
      try exchangeRound(words, biases)
      round += 1
    } while round < rounds
  }

  /// The ids of the next round, by owner, in `ids` and `wanted`. Returns where the round after begins.
  private func sortByOwner(_ wantedIDs: UnsafeBufferPointer<Int32>, from start: Int) -> Int {
    let rank = communicator.rank
    for owner in counts.indices { counts[owner] = 0 }
    var (end, rows) = (start, 0)
    while end < wantedIDs.count {
      let owner = ownership.owner(ofRow: Int(wantedIDs[end]))
      if owner != rank {
        if rows == rowsPerRound { break }
        counts[owner] += 1
        rows += 1
      }
      end += 1
    }
    wanted.fill { counts[$0] }
    ids.resize(rows)
    for owner in counts.indices { counts[owner] = Int(wanted.offsets[owner]) }
    for index in start..<end {
      let owner = ownership.owner(ofRow: Int(wantedIDs[index]))
      if owner == rank { continue }
      ids.base[counts[owner]] = wantedIDs[index]
      counts[owner] += 1
    }
    return end
  }

  private func exchangeRound(
    _ words: UnsafeMutablePointer<Float>, _ biases: UnsafeMutablePointer<Float>
  ) throws(CollectiveFailure) {
    let width = hidden + 1
    for other in counts.indices where !(0...rowsPerRound).contains(Int(othersHeaders[2 * other])) {
      throw CollectiveFailure(MessageReader.damage, reach: .thisRank)
    }
    asked.fill { Int(othersHeaders[2 * $0]) }
    askedIDs.resize(asked.total)
    try communicator.exchange(ids.base, wanted, into: askedIDs.base, asked)

    wantedRows.fill { Int(wanted.counts[$0]) * width }
    askedRows.fill { Int(asked.counts[$0]) * width }
    sent.resize(askedRows.total)
    received.resize(wantedRows.total)
    for index in 0..<asked.total {
      let row = Int(askedIDs.base[index])
      guard row >= 0 && row < ownership.rowCount && ownership.owner(ofRow: row) == communicator.rank else {
        throw CollectiveFailure(MessageReader.damage, reach: .thisRank)
      }
      beforeSending(row)
      let place = sent.base + index * width
      place.update(from: words + row * hidden, count: hidden)
      place[hidden] = biases[row]
    }
    try communicator.exchange(sent.base, askedRows, into: received.base, wantedRows)
    for index in 0..<wanted.total {
      let (row, place) = (Int(ids.base[index]), received.base + index * width)
      (words + row * hidden).update(from: place, count: hidden)
      biases[row] = place[hidden]
    }
    sentBytes += (2 * (communicator.size - 1) + wanted.total + askedRows.total) * MemoryLayout<Float>.stride
    Liveness.tick()
  }
}
