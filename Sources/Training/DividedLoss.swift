import BERT4RecModel
import Communication
import GradientSum
import SystemSupport
import TableSharding

/// The full loss over a sharded table: each rank has some neighbouring tiles of the vocabulary, which all masked rows of a step meet.
///
/// Letters: M masked rows of the step, H hidden. What crosses the network is rows, not the table. A step: every rank gets all rows (M, H);
/// all ranks at once make their own tiles' exponentials and the products of these with the table; then pieces of rows go from rank to rank,
/// in the order of the vocabulary, and each rank adds what its tiles come to; the last one gives the sums back. These are the additions of
/// `MaskedItemLoss`, in its order. After the encoders' backward passes the tokens' gradients go to their rows' owners (`TokenGradients`),
/// and each rank makes the gradient of its own items, shard after shard, and sums them in the shards' tree.
final class DividedLoss: @unchecked Sendable {
  private(set) var plan: LossPlan
  /// This rank's gradients of its own items and their biases, summed over all shards.
  let gradient: OwnGradient
  let tokens: TokenGradients
  /// Bytes that this rank has sent to others so far.
  private(set) var sentBytes = 0

  private let communicator: any Communicator
  private let hidden: Int
  private let threadCount: Int
  private let shardCount: Int
  private let share: VocabularyShare
  private let accumulators: [ShardAccumulator]
  private var chunks: [VocabularyShare.Chunk] = []
  /// Of each rank: t (its rows, H) and the labels (its rows).
  private let ownRows = GrowingBuffer<Float>(for: purpose)
  private let allRows = GrowingBuffer<Float>(for: purpose)
  private var rowLayout: BlockLayout
  private let rowSums = GrowingBuffer<Float>(for: purpose)  // (2, M), over all ranks
  /// Of each piece what is in `Sums`.
  private let sums = GrowingBuffer<Float>(for: purpose)
  private let results = GrowingBuffer<Float>(for: purpose)
  private var layouts: (send: BlockLayout, receive: BlockLayout)
  /// MPI wants other places for nothing than for something.
  private let nothing = (send: GrowingBuffer<Float>(for: purpose), receive: GrowingBuffer<Float>(for: purpose))
  /// The piece that all threads add to.
  private var piece = 0

  private static let purpose = "the loss of all ranks' rows"

  init(
    _ state: ModelState, _ table: ShardedTable, communicator: any Communicator, shardCount: Int, backend: BackendChoice, threads: Int
  ) throws(ProgramFailure) {
    let configuration = state.configuration
    self.communicator = communicator
    self.shardCount = shardCount
    let ownership = table.ownership
    hidden = configuration.hiddenSize
    threadCount = threads
    let own = ownership.blocks(of: communicator.rank)
    let tiles = own.reduce(into: Range<Int>?.none) { $0 = ($0?.lowerBound ?? $1)..<$1 + 1 } ?? 0..<0
    share = VocabularyShare(
      configuration, parameters: UnsafePointer(state.parameters.start), tiles: tiles,
      backends: (0..<threads).map { _ in backend.makeBackend() })
    accumulators = try (0..<threads).map { _ throws(ProgramFailure) in
      try ShardAccumulator(shards: 0..<shardCount, length: MaskedItemLoss.tileWidth * (configuration.hiddenSize + 1))
    }
    gradient = try OwnGradient(rows: ownership.neighbouringRows(of: communicator.rank), hidden: hidden)
    tokens = TokenGradients(communicator: communicator, ownership: ownership, hidden: hidden)
    plan = LossPlan(shards: shardCount, ranks: communicator.size, hidden: hidden)
    rowLayout = BlockLayout(blocks: communicator.size)
    layouts = (rowLayout, rowLayout)
  }

  private var rank: Int { communicator.rank }

  /// Of this rank's masked rows in the last step, in bytes.
  var rowBytes: Int { plan.rowsOfRank[rank].count * (hidden + 1) * 4 }

  // MARK: - Rows to all ranks

  func begin(_ shards: GradientShards) {
    plan.fill(shards)
    let own = plan.rowsOfRank[rank].count
    ownRows.resize(own * (hidden + 1))
    tokens.begin(plan)
  }

  /// Where a block of this rank leaves its t (rows, H) and labels (rows).
  func place(of block: LossPlan.Block) -> (t: UnsafeMutablePointer<Float>, labels: UnsafeMutablePointer<Int32>) {
    let own = plan.rowsOfRank[rank]
    let row = block.rows.lowerBound - own.lowerBound
    return (ownRows.base + row * hidden, Self.labels(ownRows.base, rows: own.count, hidden: hidden) + row)
  }

  /// Labels stand behind the rows, as bits in place of numbers.
  private static func labels(_ base: UnsafeMutablePointer<Float>, rows: Int, hidden: Int) -> UnsafeMutablePointer<Int32> {
    UnsafeMutableRawPointer(base + rows * hidden).assumingMemoryBound(to: Int32.self)
  }

  /// Collective. All ranks' rows, once all blocks are encoded.
  func gatherRows() throws(CollectiveFailure) {
    let ranks = plan.rowsOfRank
    rowLayout.fill { ranks[$0].count * (hidden + 1) }
    allRows.resize(rowLayout.total)
    try communicator.allGatherBlocks(ownRows.base, into: allRows.base, rowLayout)
    sentBytes += Int(rowLayout.counts[rank]) * 4 * (communicator.size - 1)
    chunks.removeAll(keepingCapacity: true)
    var source = 0
    for rows in plan.chunks {
      while rows.lowerBound >= ranks[source].upperBound { source += 1 }
      let (base, row) = (allRows.base + Int(rowLayout.offsets[source]), rows.lowerBound - ranks[source].lowerBound)
      chunks.append(
        VocabularyShare.Chunk(
          rows: rows, t: Matrix(base + row * hidden, rows.count, hidden),
          labels: UnsafePointer(Self.labels(base, rows: ranks[source].count, hidden: hidden) + row)))
    }
    share.begin(chunks, rowCount: plan.rowCount)
    Liveness.tick()
  }

  func makeTiles(_ thread: Int) { share.makeTiles(thread) }

  // MARK: - Sums from rank to rank

  /// What some rows have come to so far, as it stands in memory that goes from rank to rank.
  private struct Sums {
    let hidden: Int
    let gradients: UnsafeMutablePointer<Float>  // (rows, H)
    let sums: SoftmaxSums  // (rows)
    let labelLogits: UnsafeMutablePointer<Float>  // (rows)

    /// The rows from `row` on.
    func from(_ row: Int) -> Sums {
      Sums(hidden: hidden, gradients: gradients + row * hidden, sums: sums.rows(from: row), labelLogits: labelLogits + row)
    }

    var total: OnlineSoftmax { OnlineSoftmax(sums, rowGradients: gradients) }
  }

  /// Numbers of so many rows there.
  private func sumCount(_ rows: Int) -> Int { rows * (hidden + 3) }

  /// Of so many rows whose numbers begin at `base`.
  private func read(_ base: UnsafeMutablePointer<Float>, rows: Int) -> Sums {
    let behind = base + rows * hidden
    return Sums(
      hidden: hidden, gradients: base, sums: SoftmaxSums(maximum: behind, sum: behind + rows), labelLogits: behind + 2 * rows)
  }

  private func place(of piece: LossPlan.Piece) -> UnsafeMutablePointer<Float> { sums.base + sumCount(piece.rows.lowerBound) }

  /// Collective. The rows' sums over the whole vocabulary: each piece goes through all ranks, and these work on different pieces at the
  /// same time. `add` lets all threads call `addPiece`.
  func sum(_ add: () -> Void) throws(CollectiveFailure) {
    let (size, pieces) = (communicator.size, plan.pieces)
    sums.resize(sumCount(plan.rowCount))
    if rank == 0 {
      sums.base.update(repeating: 0, count: sumCount(plan.rowCount))
      for piece in pieces { read(place(of: piece), rows: piece.rows.count).total.begin(rows: piece.rows.count) }
    }
    for slot in 0..<max(0, pieces.count + size - 1) {
      let (own, next) = (slot - rank, slot - rank + 1)
      if pieces.indices.contains(own) {
        piece = own
        add()
      }
      if slot == pieces.count + size - 2 { break }
      let sends = rank + 1 < size && pieces.indices.contains(own)
      let receives = rank > 0 && pieces.indices.contains(next)
      layouts.send.fill { sends && $0 == rank + 1 ? sumCount(pieces[own].rows.count) : 0 }
      layouts.receive.fill { receives && $0 == rank - 1 ? sumCount(pieces[next].rows.count) : 0 }
      try communicator.exchange(
        sends ? place(of: pieces[own]) : nothing.send.base, layouts.send,
        into: receives ? place(of: pieces[next]) : nothing.receive.base, layouts.receive)
      sentBytes += layouts.send.total * 4
    }
    try giveBack()
  }

  /// A thread's part of a piece.
  func addPiece(_ thread: Int) {
    let piece = plan.pieces[piece]
    let sums = read(place(of: piece), rows: piece.rows.count)
    for index in piece.chunks where index % threadCount == thread {
      let own = sums.from(plan.chunks[index].lowerBound - piece.rows.lowerBound)
      share.add(chunks[index], to: own.total, labelLogits: own.labelLogits, thread: thread)
    }
    Liveness.tick()
  }

  /// Over the whole vocabulary, of all rows of the step.
  private var allRowSums: SoftmaxSums { SoftmaxSums(maximum: rowSums.base, sum: rowSums.base + plan.rowCount) }

  /// From the last rank its rows' results to each, and to all the sums of all rows.
  private func giveBack() throws(CollectiveFailure) {
    let (count, last, ranks) = (plan.rowCount, communicator.size - 1, plan.rowsOfRank)
    rowSums.resize(2 * count)
    if rank == last {
      for piece in plan.pieces {
        let (own, all) = (read(place(of: piece), rows: piece.rows.count).sums, allRowSums.rows(from: piece.rows.lowerBound))
        all.maximum.update(from: own.maximum, count: piece.rows.count)
        all.sum.update(from: own.sum, count: piece.rows.count)
      }
      layouts.send.fill { sumCount(ranks[$0].count) + 2 * count }
      results.resize(layouts.send.total)
      for other in ranks.indices {
        let (place, own) = (results.base + Int(layouts.send.offsets[other]), sumCount(ranks[other].count))
        place.update(from: sums.base + sumCount(ranks[other].lowerBound), count: own)
        (place + own).update(from: rowSums.base, count: 2 * count)
      }
      sentBytes += (layouts.send.total - Int(layouts.send.counts[last])) * 4
    } else {
      layouts.send.fill { _ in 0 }
    }
    let own = sumCount(ranks[rank].count)
    layouts.receive.fill { $0 == last ? own + 2 * count : 0 }
    // All that it was is with the ranks behind this one.
    sums.resize(own + 2 * count)
    try communicator.exchange(results.base, layouts.send, into: sums.base, layouts.receive)
    rowSums.base.update(from: sums.base + own, count: 2 * count)
    Liveness.tick()
  }

  // MARK: - Rows' gradients

  /// Of a block of this rank: its loss, and the gradient of t (rows, H), which is overwritten.
  func finish(
    _ block: LossPlan.Block, words: UnsafePointer<Float>, backend: any Backend, factors: UnsafeMutablePointer<Float>,
    into tGradient: UnsafeMutablePointer<Float>
  ) -> Double {
    var loss = 0.0
    let first = plan.rowsOfRank[rank].lowerBound
    for piece in plan.pieces where piece.chunks.overlaps(block.chunks) {
      let sums = read(sums.base + sumCount(piece.rows.lowerBound - first), rows: piece.rows.count)
      for index in piece.chunks.clamped(to: block.chunks) {
        let chunk = chunks[index]
        let own = sums.from(chunk.rows.lowerBound - piece.rows.lowerBound)
        loss += own.sums.loss(labelLogits: own.labelLogits, rows: chunk.rows.count)
        DividedSoftmax.finish(
          Matrix(own.gradients, chunk.rows.count, hidden), rowSum: own.sums.sum, labels: chunk.labels, words: words, backend: backend,
          factors: factors, into: tGradient + (chunk.rows.lowerBound - block.rows.lowerBound) * hidden)
      }
    }
    return loss
  }

  // MARK: - The table's gradient

  /// A thread's part of the own tiles, once the tokens' gradients are here.
  func makeGradient(_ thread: Int) {
    for tile in share.tiles where tile % threadCount == thread {
      let accumulator = accumulators[thread]
      accumulator.reset()
      for shard in 0..<shardCount {
        let buffer = accumulator.nextBuffer(zeroed: false)
        addShard(shard, tile, buffer.start, thread)
        accumulator.add(shard: shard, buffer)
      }
      let (sum, vocabulary) = (accumulator.sumOfTree().start, share.vocabulary(tile))
      gradient.set(vocabulary, words: sum, biases: sum + MaskedItemLoss.tileWidth * hidden)
      Liveness.tick()
    }
  }

  /// The gradient of a shard: block after block what its rows come to and then, as they come, its tokens' rows.
  private func addShard(_ shard: Int, _ tile: Int, _ words: UnsafeMutablePointer<Float>, _ thread: Int) {
    let (biases, vocabulary) = (words + MaskedItemLoss.tileWidth * hidden, share.vocabulary(tile))
    var accumulates = false
    for index in plan.blocksOfShard[shard] {
      for chunk in plan.blocks[index].chunks {
        share.addGradients(
          tile: tile, chunks[chunk], rows: allRowSums, words: words, biases: biases, accumulates: accumulates, thread: thread)
        accumulates = true
      }
      tokens.forEachRow(ofBlock: index) { row, values in
        if !vocabulary.contains(row) { return }
        let target = words + (row - vocabulary.lowerBound) * hidden
        for column in 0..<hidden { target[column] += values[column] }
      }
    }
    if !accumulates {
      words.update(repeating: 0, count: vocabulary.count * hidden)
      biases.update(repeating: 0, count: vocabulary.count)
    }
  }
}
