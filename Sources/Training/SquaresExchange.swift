import BERT4RecModel
import CKernels
import Communication
import SystemSupport
import TableSharding

/// The sums of squares of a gradient of whose table each rank has neighbouring rows: piece by piece as they would be on a rank with the
/// whole table, so that the norm has its bits. A piece of several ranks is gathered on one of them.
///
/// Allocates nothing after the beginning.
final class SquaresExchange {
  private let pieces: [Range<Int>]
  private let communicator: any Communicator
  private let kernels = kernel_set_best()
  /// Of each piece the rank that sums its squares; -1: it stands beside the table, and all ranks do.
  private let owners: [Int]
  /// Of each piece its place in `gathered`; -1: it stands at one place already.
  private let places: [Int]
  /// What this rank sends, and what it receives, in the order in which it is sent.
  private let parts: (sent: [Part], received: [Part])
  private let layouts: (send: BlockLayout, receive: BlockLayout)
  private let sent = GrowingBuffer<Float>(for: "the gradient's norm")
  private let received = GrowingBuffer<Float>(for: "the gradient's norm")
  private let gathered = GrowingBuffer<Float>(for: "the gradient's norm")
  private let ownRanges: [Range<Int>]
  /// Sums of this rank's pieces, of each rank's (ranks, count).
  private let count: Int
  private let own: UnsafeMutableBufferPointer<Double>
  private let all: UnsafeMutableBufferPointer<Double>
  /// Bytes that this rank has sent to others so far.
  private(set) var sentBytes = 0

  /// Elements of a piece that another rank has.
  private struct Part {
    let piece: Int
    let range: Range<Int>
    let rank: Int
  }

  init(_ pieces: [Range<Int>], _ layout: ParameterLayout, _ ownership: RowOwnership, _ communicator: any Communicator) {
    self.pieces = pieces
    self.communicator = communicator
    let (rank, size) = (communicator.rank, communicator.size)
    let hidden = layout.besidesTable.lowerBound / ownership.rowCount
    // What each rank has of the table and of the biases.
    let words = (0..<size).map { rank in
      let rows = ownership.neighbouringRows(of: rank)
      return rows.lowerBound * hidden..<rows.upperBound * hidden
    }
    let biases = (0..<size).map { rank in
      let rows = ownership.neighbouringRows(of: rank)
      return layout.predictionBias + rows.lowerBound..<layout.predictionBias + rows.upperBound
    }
    func partsOfTable(_ piece: Range<Int>) -> [(rank: Int, range: Range<Int>)] {
      (words + biases).enumerated().compactMap { index, range in
        let part = piece.clamped(to: range)
        return part.isEmpty ? nil : (index % size, part)
      }
    }
    owners = pieces.map { partsOfTable($0).first?.rank ?? -1 }
    var (places, total) = ([Int](), 0)
    var (sent, received) = ([Part](), [Part]())
    for (index, piece) in pieces.enumerated() {
      let parts = partsOfTable(piece)
      let isWhole = parts.isEmpty || parts.count == 1 && parts[0].range == piece
      places.append(isWhole || owners[index] != rank ? -1 : total)
      if !isWhole && owners[index] == rank { total += piece.count }
      for part in parts where part.rank != owners[index] {
        if part.rank == rank { sent.append(Part(piece: index, range: part.range, rank: owners[index])) }
        if owners[index] == rank { received.append(Part(piece: index, range: part.range, rank: part.rank)) }
      }
    }
    // Rank after rank, in the order of the pieces.
    func sorted(_ parts: [Part]) -> [Part] { (0..<size).flatMap { rank in parts.filter { $0.rank == rank } } }
    func blockLayout(_ parts: [Part]) -> BlockLayout {
      BlockLayout(counts: (0..<size).map { rank in parts.reduce(0) { $0 + ($1.rank == rank ? $1.range.count : 0) } })
    }
    self.places = places
    parts = (sorted(sent), sorted(received))
    layouts = (blockLayout(sent), blockLayout(received))
    self.sent.resize(layouts.send.total)
    self.received.resize(layouts.receive.total)
    gathered.resize(total)
    ownRanges = [words[rank], layout.besidesTable, biases[rank]]
    let owners = owners
    count = (0..<size).reduce(0) { most, rank in max(most, owners.count { $0 == rank }) }
    own = .allocate(capacity: count)
    own.initialize(repeating: 0)
    all = .allocate(capacity: count * size)
    all.initialize(repeating: 0)
  }

  deinit {
    own.deallocate()
    all.deallocate()
  }

  /// Collective. Gathers what lies across the ranks' limits.
  func prepare(_ gradient: SummedGradient) throws(CollectiveFailure) {
    var place = sent.base
    for part in parts.sent {
      place.update(from: gradient.place(part.range), count: part.range.count)
      place += part.range.count
    }
    try communicator.exchange(sent.base, layouts.send, into: received.base, layouts.receive)
    sentBytes += layouts.send.total * 4
    for (index, piece) in pieces.enumerated() where places[index] >= 0 {
      for range in ownRanges {
        let part = piece.clamped(to: range)
        if part.isEmpty { continue }
        (gathered.base + places[index] + part.lowerBound - piece.lowerBound).update(from: gradient.place(part), count: part.count)
      }
    }
    place = received.base
    for part in parts.received {
      (gathered.base + places[part.piece] + part.range.lowerBound - pieces[part.piece].lowerBound).update(
        from: place, count: part.range.count)
      place += part.range.count
    }
  }

  /// A thread's share of the pieces that this rank sums.
  func add(_ gradient: SummedGradient, into squares: UnsafeMutableBufferPointer<Double>, thread: Int, of threads: Int) {
    for index in stride(from: thread, to: pieces.count, by: threads) where owners[index] < 0 || owners[index] == communicator.rank {
      let values = places[index] < 0 ? gradient.place(pieces[index]) : UnsafePointer(gathered.base + places[index])
      squares[index] = kernels.pointee.sum_of_squares(values, pieces[index].count)
    }
  }

  /// Collective. The other ranks' sums.
  func gather(_ squares: UnsafeMutableBufferPointer<Double>) throws(CollectiveFailure) {
    var next = 0
    for index in pieces.indices where owners[index] == communicator.rank {
      own[next] = squares[index]
      next += 1
    }
    try communicator.allGatherRecords(UnsafeRawBufferPointer(own), into: UnsafeMutableRawBufferPointer(all))
    sentBytes += own.count * 8 * (communicator.size - 1)
    for rank in 0..<communicator.size {
      var next = rank * count
      for index in pieces.indices where owners[index] == rank {
        squares[index] = all[next]
        next += 1
      }
    }
  }
}
