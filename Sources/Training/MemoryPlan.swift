import BERT4RecModel
import Evaluation
import GradientSum
import SystemSupport
import TableSharding

/// What a rank's memory depends on. `shares` says how much that is, before any of it is taken; each size comes from the code that
/// takes the memory.
package struct MemoryPlan: Sendable {
  package enum Use: Sendable, Equatable {
    /// With evaluations that draw negatives for so many users of all ranks: users of each split, times its sampled protocols.
    case training(drawnUsers: Int)
    /// Steps alone.
    case benchmark
    /// A model's parameters, before it is known what they are for.
    case loading
    /// Evaluation or recommendation with a model that is there already.
    case scoring(drawnUsers: Int)
  }

  /// A part of the memory, as messages name it.
  package struct Share: Sendable, Equatable {
    package let name: String
    /// A double, since threads, shards and sizes multiplied may be more than a whole number holds.
    package let bytes: Double
  }

  package var use: Use
  package var model: ModelConfiguration
  package var backend: BackendChoice
  /// As asked for, before the number of shards bounds them.
  package var threads = 1
  package var gradientShards = 1
  package var reduction = ReductionMode.exact
  package var loss = LossConfiguration()
  package var table = TablePlacement.replicated
  /// Whether rows that a step does not touch are updated later.
  package var defersUpdates = false
  package var batchSize = 1
  package var rank = 0
  package var ranks = 1
  /// Not where another rank of the host has those of a loaded model.
  package var hasParameters = true
  /// Most tokens of a training instance and of a query; nil where nothing but the model's own limit is known.
  package var longestInstance: Int?
  package var longestQuery: Int?

  package init(use: Use, model: ModelConfiguration, backend: BackendChoice) {
    self.use = use
    self.model = model
    self.backend = backend
  }

  /// More ranks than shards are refused before a step is made; until then it is as if each had one.
  private var own: RankShare { RankShare(rank: rank, of: ranks, gradientShards: max(gradientShards, ranks), threads: threads) }

  /// Threads that will be started.
  package var threadCount: Int {
    switch use {
    case .loading: 1
    case .scoring: threads
    // An evaluation's threads need not have shards.
    case .training: max(own.threads, threads)
    case .benchmark: own.threads
    }
  }

  /// Addresses that OpenBLAS maps for each thread that calls it: 128 MiB and a little, of which it uses a few. Without them it would
  /// ask again for ever.
  package var libraryAddresses: Double {
    let callers = backend.resolved == .openblas ? threadCount : use == .benchmark ? 1 : 0
    return Double(callers) * Double(130 << 20)
  }

  package var shares: [Share] {
    switch use {
    case .loading:
      return [Share(name: "parameters", bytes: hasParameters ? ModelState.byteCount(model, withMoments: false) : 0)]
    case .scoring(let drawnUsers):
      return [Share(name: "scoring by \(threads) thread\(threads == 1 ? "" : "s")", bytes: evaluationBytes(drawnUsers))]
    case .training, .benchmark: break
    }
    let layout = ParameterLayout(model)
    let isShared = table == .sharded && ranks > 1
    let (divides, searches) = (loss.kind == .full && isShared, loss.kind == .sce && isShared)
    let length = (loss.kind == .full && !divides ? layout.count : layout.besidesTable.count) + gradientShards
    let own = own
    let gradients = (0..<own.threads).reduce(rowBytes(own)) {
      $0 + Double(ShardAccumulator.byteCount(shards: own.shards(ofThread: $1), length: length))
    }
    // An encoder keeps one block; where ranks speak with each other before its backward pass, there is one for each block of the shards.
    let keepsBlocks = divides || searches
    let encoder = BidirectionalEncoder.workspaceBytes(
      for: divides ? .encoding : .training, model, longestInstance: longestInstance, loss: loss)
    // Backends have scratch: one per shard then, besides a thread's own.
    let shardsOfThread = keepsBlocks ? (own.shards.count + own.threads - 1) / own.threads : 0
    let workspace =
      (keepsBlocks ? blocksPerShard * shardsOfThread : 1) * encoder
      + (shardsOfThread + 1) * BidirectionalEncoder.scratchBytes(model, backend: backend, longestInstance: longestInstance)
    var shares = [
      Share(
        name: "parameters and moments",
        bytes: ModelState.byteCount(model, withMoments: true, ranks: table == .sharded ? max(1, ranks) : 1, loss.arrangement)),
      Share(name: "gradients", bytes: gradients),
      Share(
        name: own.threads == 1 ? "workspace of 1 thread" : "workspaces of \(own.threads) threads",
        bytes: Double(workspace) * Double(own.threads)),
    ]
    if divides { shares.append(Share(name: "the loss of all ranks' rows", bytes: dividedBytes(own))) }
    if searches {
      let bytes = BucketExchange.byteCount(
        loss, RowOwnership(rowCount: model.vocabularySize, size: ranks), hidden: model.hiddenSize,
        rows: rowsOfBlock, blocks: blocksPerShard * gradientShards, threads: own.threads)
      shares.append(Share(name: "the buckets of all ranks", bytes: bytes))
    }
    if isShared {
      var rows = rowsRead(own.shards.count)
      if case .training = use {
        rows = max(rows, Double(min(model.vocabularySize, ShardedModelScorer.rowsPerFetch(model, longestQuery: longestQuery))))
      }
      shares.append(Share(name: "rows of other ranks", bytes: ShardedTable.byteCount(rows: rows, hidden: model.hiddenSize)))
    }
    let sampler = RowSampler.byteCount(loss, vocabularySize: model.vocabularySize)
    if sampler > 0 { shares.append(Share(name: "the items' popularity", bytes: Double(sampler))) }
    if defersUpdates {
      let rows = model.vocabularySize / (table == .sharded ? max(1, ranks) : 1)
      shares.append(Share(name: "updates that wait", bytes: Double(DeferredUpdates.byteCount(rows: rows))))
    }
    if ranks > 1 {
      let bytes = GradientAllReduce.byteCount(
        rank: rank, size: ranks, shardCount: gradientShards, length: length, mode: reduction)
      shares.append(Share(name: "their sum over ranks", bytes: Double(bytes)))
    }
    if case .training(let drawnUsers) = use {
      shares.append(Share(name: "evaluation", bytes: evaluationBytes(drawnUsers)))
    }
    return shares
  }

  /// Tokens of a step, at most.
  private var tokens: Double { Double(batchSize) * Double(min(longestInstance ?? .max, model.maximumSequenceLength)) }

  /// Blocks of a gradient shard, nearly full ones.
  private var blocksPerShard: Int { 1 + Int(tokens / Double(gradientShards) / Double(BidirectionalEncoder.blockRows)) }

  /// Masked rows of a block, at most.
  private var rowsOfBlock: Int {
    let longest = min(longestInstance ?? .max, model.maximumSequenceLength)
    return max(longest, min(BidirectionalEncoder.blockRows, Int(min(tokens / Double(gradientShards), 1e9))))
  }

  /// What the full loss over a sharded table takes, with a third of all tokens masked: own tiles, all ranks' rows, the tokens' gradients,
  /// and the table rows that an evaluation borrows.
  private func dividedBytes(_ own: RankShare) -> Double {
    let rows = max(1, Int(min(tokens / 3, 1e9)))
    let tiles = (VocabularyTile.count(vocabularySize: model.vocabularySize) + ranks - 1) / ranks
    let items = Double(tiles * MaskedItemLoss.tileWidth)
    let width = Double(model.hiddenSize + 1)
    let ofRank = tokens / Double(ranks)
    let share = VocabularyShare.byteCount(model, rows: rows, tiles: tiles, threads: own.threads)
    let trees =
      Double(own.threads)
      * Double(
        ShardAccumulator.byteCount(shards: 0..<gradientShards, length: MaskedItemLoss.tileWidth * (model.hiddenSize + 1)))
    return share + trees + 4 * width * (2 * items + 2 * Double(rows) * (1 + 1 / Double(ranks)) + 3 * ofRank)
  }

  /// Gradients of the rows that a step touches, at most; 0 with the full loss.
  private func rowBytes(_ own: RankShare) -> Double {
    if loss.kind == .full { return 0 }
    let (ofShard, ofStep) = (rowsRead(1), rowsRead(gradientShards))
    // Each thread's shard, and lists: of the shards, of their sums, and what is sent and received.
    return Double(RowGradients.byteCount(rows: 1, hidden: model.hiddenSize)) * 2 * ofShard * Double(own.threads)
      + Double(RowList.byteCount(rows: 1, width: model.hiddenSize + 1))
      * (2 * ofShard * Double(own.shards.count) + 2 * ofStep * (ranks > 1 ? 3 : 1))
  }

  /// Rows of the table that so many shards touch, at most.
  private func rowsRead(_ shards: Int) -> Double {
    let positions =
      Double(batchSize) * Double(shards) / Double(gradientShards) * Double(min(longestInstance ?? .max, model.maximumSequenceLength))
    let drawn: Double
    if loss.kind == .sce {
      let buckets = BucketLoss.bucketCount(loss, rows: rowsOfBlock)
      drawn = Double(shards * blocksPerShard) * Double(buckets * min(loss.bucketItems, model.vocabularySize))
    } else {
      drawn = (loss.sharing == .shard ? Double(shards) : positions) * Double(loss.scoredRows(vocabularySize: model.vocabularySize))
    }
    return min(Double(model.vocabularySize), positions + drawn)
  }

  /// What scores, and this rank's part of the negatives.
  private func evaluationBytes(_ drawnUsers: Int) -> Double {
    Double(ModelScorer.byteCount(model, backend: backend, longestQuery: longestQuery)) * Double(threads)
      + (table == .sharded && ranks > 1
        ? Double(ShardedBlocks.byteCount(rowWidth: model.hiddenSize, vocabularySize: model.vocabularySize, ranks: ranks)) : 0)
      + Double(NegativeSampler.byteCount(userCount: drawnUsers)) / Double(ranks)
  }

  package var total: Double { shares.reduce(0) { $0 + $1.bytes } }

  // MARK: - Settings

  /// Each setting that shapes the model, as messages name it, with the plan in which it is about half as large.
  private var halvings: [(setting: String, plan: MemoryPlan)] {
    func halved(_ name: String, _ value: Int, _ half: Int, _ path: WritableKeyPath<ModelConfiguration, Int>) -> (String, MemoryPlan)? {
      guard half >= 1 && half < value else { return nil }
      var plan = self
      plan.model[keyPath: path] = half
      return ("\(name) (\(value))", plan)
    }
    let heads = model.headCount
    let fewerHeads = (1...max(1, heads / 2)).last { model.hiddenSize % $0 == 0 } ?? 1
    return [
      halved("hidden_size", model.hiddenSize, model.hiddenSize / 2 / heads * heads, \.hiddenSize),
      halved("intermediate_size", model.intermediateSize, model.intermediateSize / 2, \.intermediateSize),
      halved("num_hidden_layers", model.layerCount, model.layerCount / 2, \.layerCount),
      halved("max_seq_length", model.maximumSequenceLength, model.maximumSequenceLength / 2, \.maximumSequenceLength),
      halved("num_attention_heads", heads, fewerHeads, \.headCount),
      halved("the vocabulary, by leaving out rare items", model.vocabularySize, model.vocabularySize / 2, \.vocabularySize),
    ].compactMap { $0 }
  }

  /// The setting whose halving saves most.
  package var mostCostlySetting: String {
    halvings.map { ($0.setting, $0.plan.total) }.min { $0.1 < $1.1 }?.0 ?? "hidden_size (\(model.hiddenSize))"
  }

  /// The most threads, fewer than these, with which the memory suffices; nil where none do.
  package func fewerThreads(fitting fits: (Double) -> Bool) -> Int? {
    guard use != .loading else { return nil }
    var plan = self
    for count in (1..<threadCount).reversed() {
      plan.threads = count
      if fits(plan.total) { return count }
    }
    return nil
  }

  /// The most ranks on a host, fewer than those that are there, with which the memory suffices; nil where none do. `fits` takes a
  /// rank's total, which grows as its shards do, and the number of ranks.
  package func fewerRanks(than count: Int, fitting fits: (_ total: Double, _ ranks: Int) -> Bool) -> Int? {
    var plan = self
    for left in (1..<max(count, 1)).reversed() {
      (plan.rank, plan.ranks) = (0, max(1, ranks - (count - left)))
      if fits(plan.total, left) { return left }
    }
    return nil
  }
}
