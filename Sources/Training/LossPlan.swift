import BERT4RecModel
import GradientSum
import TableSharding

/// Where a step's masked rows stand where all ranks have them: block after block of all gradient shards. Every rank makes the same plan
/// from the same plan of shards, so nobody has to be told what will come.
///
/// Refilled each step without allocating.
struct LossPlan {
  /// Instances that go through the encoder together (`PackedBatch.forEachBlock`).
  struct Block {
    let shard: Int
    /// Among the step's masked rows.
    let rows: Range<Int>
    let tokenCount: Int
    /// Its rows that go through the loss together, among `chunks`.
    var chunks: Range<Int>
  }

  /// Some neighbouring chunks of a rank, which go from rank to rank together.
  struct Piece {
    let chunks: Range<Int>
    let rows: Range<Int>
  }

  private(set) var blocks: [Block] = []
  /// Rows of each chunk.
  private(set) var chunks: [Range<Int>] = []
  private(set) var pieces: [Piece] = []
  /// Blocks of each shard.
  private(set) var blocksOfShard: [Range<Int>]
  /// Rows and blocks of each rank.
  private(set) var rowsOfRank: [Range<Int>]
  private(set) var blocksOfRank: [Range<Int>]
  private let pieceRows: Int

  /// Numbers of a piece at least, but for a rank's last one. Shapes no bits.
  static let pieceElements = 1 << 13

  init(shards: Int, ranks: Int, hidden: Int) {
    blocksOfShard = [Range<Int>](repeating: 0..<0, count: shards)
    rowsOfRank = [Range<Int>](repeating: 0..<0, count: ranks)
    blocksOfRank = rowsOfRank
    pieceRows = (Self.pieceElements + hidden - 1) / hidden
  }

  var rowCount: Int { rowsOfRank[rowsOfRank.count - 1].upperBound }

  mutating func fill(_ plan: GradientShards) {
    blocks.removeAll(keepingCapacity: true)
    chunks.removeAll(keepingCapacity: true)
    pieces.removeAll(keepingCapacity: true)
    var row = 0
    for shard in 0..<plan.shardCount {
      let first = blocks.count
      var (tokens, masked, isEmpty) = (0, 0, true)
      func end(_ plan: inout LossPlan) {
        if isEmpty { return }
        plan.append(shard: shard, rows: row..<row + masked, tokens: tokens)
        row += masked
        (tokens, masked, isEmpty) = (0, 0, true)
      }
      for index in plan.offsets[shard]..<plan.offsets[shard + 1] {
        let instance = plan.references[plan.places[index]]
        if tokens + instance.tokenCount > BidirectionalEncoder.blockRows { end(&self) }
        (tokens, masked, isEmpty) = (tokens + instance.tokenCount, masked + instance.maskedCount, false)
      }
      end(&self)
      blocksOfShard[shard] = first..<blocks.count
    }
    for rank in rowsOfRank.indices {
      let shards = ShardTree.range(part: rank, of: rowsOfRank.count, in: 0..<plan.shardCount)
      let own = blocksOfShard[shards.lowerBound].lowerBound..<blocksOfShard[shards.upperBound - 1].upperBound
      blocksOfRank[rank] = own
      let start = rank == 0 ? 0 : rowsOfRank[rank - 1].upperBound
      rowsOfRank[rank] = start..<(own.isEmpty ? start : blocks[own.upperBound - 1].rows.upperBound)
      if !own.isEmpty { cut(blocks[own.lowerBound].chunks.lowerBound..<blocks[own.upperBound - 1].chunks.upperBound) }
    }
  }

  private mutating func append(shard: Int, rows: Range<Int>, tokens: Int) {
    let first = chunks.count
    for start in stride(from: rows.lowerBound, to: rows.upperBound, by: MaskedItemLoss.rowChunk) {
      chunks.append(start..<min(start + MaskedItemLoss.rowChunk, rows.upperBound))
    }
    blocks.append(Block(shard: shard, rows: rows, tokenCount: tokens, chunks: first..<chunks.count))
  }

  /// Into pieces.
  private mutating func cut(_ chunks: Range<Int>) {
    var first = chunks.lowerBound
    for chunk in chunks {
      let rows = self.chunks[first].lowerBound..<self.chunks[chunk].upperBound
      if rows.count < pieceRows && chunk + 1 < chunks.upperBound { continue }
      pieces.append(Piece(chunks: first..<chunk + 1, rows: rows))
      first = chunk + 1
    }
  }
}

extension LossConfiguration {
  /// How a sharded table's rows come to ranks.
  package var arrangement: RowOwnership.Arrangement { kind == .full ? .neighbouring(blockRows: MaskedItemLoss.tileWidth) : .dealt }
}
