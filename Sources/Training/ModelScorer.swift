import BERT4RecModel
import Evaluation
import Masking
import StallDetection
import SystemSupport

/// A trained model as evaluation and recommendation see it: one code path for both, in training and afterwards. Users are scored 64
/// together, the table of the items tile after tile, by as many threads as it has memory for.
public final class ModelScorer: SequenceScorer {
  private let state: ModelState
  private let scorers: [ModelTileScorer]
  /// Whole rows, for who asks for them.
  private var wholeRows: AlignedMemory?

  /// Reads the state's parameters as they are when it scores.
  /// - Parameters:
  ///   - threads: for so many it has memory.
  ///   - longestQuery: most tokens of a query, `[MASK]` included; nil where nothing but the model's own limit is known.
  package init(
    _ state: ModelState, backend: BackendChoice = .auto, threads: Int = 1, longestQuery: Int? = nil,
    progress: RankProgress? = nil
  ) throws(ProgramFailure) {
    precondition(threads > 0)
    self.state = state
    scorers = try (0..<threads).map { _ throws(ProgramFailure) in
      try ModelTileScorer(state, backend: backend, longestQuery: longestQuery, progress: progress)
    }
  }

  /// Bytes of the buffers of one thread.
  package static func byteCount(_ model: ModelConfiguration, backend: BackendChoice, longestQuery: Int?) -> Int {
    BidirectionalEncoder.workspaceBytes(for: .scoring, model, longestInstance: longestQuery)
      + BidirectionalEncoder.scratchBytes(model, backend: backend, longestInstance: longestQuery)
      + ModelTileScorer.byteCount(model)
  }

  public var vocabularySize: Int { state.configuration.vocabularySize }

  /// For so many it has memory.
  public var threadCount: Int { scorers.count }

  public func scores(_ batch: PackedBatch) throws(ProgramFailure) -> UnsafeBufferPointer<Float> {
    let size = vocabularySize
    precondition(batch.maskedCount <= instancesAtOnce, "more instances than instancesAtOnce")
    let rows = try memoryOfWholeRows().elements(Float.self)
    scorers[0].begin(batch)
    scorers[0].project(0..<size, into: Matrix(rows.start, batch.maskedCount, size))
    return UnsafeBufferPointer(rebasing: rows[..<(batch.maskedCount * size)])
  }

  private func memoryOfWholeRows() throws(ProgramFailure) -> AlignedMemory {
    if let wholeRows { return wholeRows }
    let memory = try AlignedMemory(
      byteCount: instancesAtOnce * vocabularySize * MemoryLayout<Float>.stride, for: "the scores")
    wholeRows = memory
    return memory
  }
}

extension ModelScorer: ParallelScorer {
  package var tileScorers: [any TileScorer] { scorers }
}

/// One thread's part: an encoder, and the projection to some tokens at a time.
///
/// Letters: B instances, H hidden, W tokens of a tile.
private final class ModelTileScorer: TileScorer {
  let instancesAtOnce = EvaluationBlock.size
  private let state: ModelState
  private let encoder: BidirectionalEncoder
  /// Always our own products: an item's score is then the same whatever is computed beside it, which OpenBLAS does not promise.
  private let products = NativeBackend()
  private let memory: AlignedMemory
  private let rows: UnsafeMutablePointer<Float>  // what the projection reads (B, H)
  private let scores: UnsafeMutablePointer<Float>  // (B, W), a cache line more between rows
  private let stride: Int
  private let progress: RankProgress?
  private var count = 0

  init(_ state: ModelState, backend: BackendChoice, longestQuery: Int?, progress: RankProgress?) throws(ProgramFailure) {
    self.state = state
    self.progress = progress
    encoder = try .withMemory(for: .scoring, state.configuration, backend: backend, longestInstance: longestQuery)
    memory = try AlignedMemory(byteCount: Self.bufferBytes(state.configuration), for: "the scores")
    stride = Self.stride(state.configuration)
    let start = memory.elements(Float.self).start
    scores = start
    rows = start + EvaluationBlock.size * stride
  }

  private static func stride(_ model: ModelConfiguration) -> Int {
    paddedColumns(min(ScoreTile.width, model.vocabularySize)) + 16
  }

  private static func bufferBytes(_ model: ModelConfiguration) -> Int {
    EvaluationBlock.size * (stride(model) + model.hiddenSize) * MemoryLayout<Float>.stride
  }

  /// Without its encoder's.
  static func byteCount(_ model: ModelConfiguration) -> Int { bufferBytes(model) + NativeBackend.productScratchBytes }

  func begin(_ batch: PackedBatch) {
    precondition(batch.instanceCount <= instancesAtOnce && batch.maskedCount == batch.instanceCount)
    for instance in 0..<batch.instanceCount {
      precondition(batch.tokenRange(of: instance).count <= encoder.longestInstance, "a longer query")
    }
    progress?.tick()
    count = batch.instanceCount
    encoder.projectionRows(batch, parameters: UnsafePointer(state.parameters.start), into: rows)
  }

  func score(instance: Int, token: Int) -> Float {
    var score: Float = 0
    withUnsafeMutablePointer(to: &score) { score in
      project(instance..<instance + 1, token..<token + 1, into: Matrix(score, 1, 1))
    }
    return score
  }

  func tile(_ tokens: Range<Int>) -> ScoreTile {
    project(tokens, into: Matrix(scores, count, tokens.count, stride: stride))
    return ScoreTile(scores, stride: stride, tokens: tokens)
  }

  /// Writes the scores (B, W) of some tokens, however many.
  func project(_ tokens: Range<Int>, into scores: Matrix) { project(0..<count, tokens, into: scores) }

  private func project(_ instances: Range<Int>, _ tokens: Range<Int>, into scores: Matrix) {
    let (layout, hidden) = (state.layout, state.configuration.hiddenSize)
    let parameters = UnsafePointer(state.parameters.start)
    products.project(
      Matrix(rows + instances.lowerBound * hidden, instances.count, hidden),
      Matrix(parameters + layout.wordEmbeddings + tokens.lowerBound * hidden, tokens.count, hidden),
      bias: parameters + layout.predictionBias + tokens.lowerBound, into: scores)
  }
}
