import BERT4RecModel
import Evaluation
import Masking
import StallDetection
import SystemSupport

/// One thread's part: an encoder, and the projection to some tokens at a time.
///
/// Letters: B instances, H hidden, W tokens of a tile.
final class ModelTileScorer: TileScorer, ShardTileScorer {
  let instancesAtOnce = EvaluationBlock.size
  private let state: ModelState
  private let encoder: BidirectionalEncoder
  /// Always our own products: an item's score is then the same whatever is computed beside it, which OpenBLAS does not promise.
  private let products = NativeBackend()
  private let memory: AlignedMemory
  private let ownRows: UnsafeMutablePointer<Float>  // (B, H)
  private let scores: UnsafeMutablePointer<Float>  // (B, W), a cache line more between rows
  private let stride: Int
  private let progress: RankProgress?
  private var rows: UnsafePointer<Float>  // what the projection reads (B, H)
  private var count = 0

  init(_ state: ModelState, backend: BackendChoice, longestQuery: Int?, progress: RankProgress?) throws(ProgramFailure) {
    self.state = state
    self.progress = progress
    encoder = try .withMemory(for: .scoring, state.configuration, backend: backend, longestInstance: longestQuery)
    memory = try AlignedMemory(byteCount: Self.bufferBytes(state.configuration), for: "the scores")
    stride = Self.stride(state.configuration)
    let start = memory.elements(Float.self).start
    scores = start
    ownRows = start + EvaluationBlock.size * stride
    rows = UnsafePointer(ownRows)
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
    encode(batch, into: ownRows)
    begin(rows: UnsafePointer(ownRows), count: batch.instanceCount)
  }

  func encode(_ batch: PackedBatch, into rows: UnsafeMutablePointer<Float>) {
    precondition(batch.instanceCount <= instancesAtOnce && batch.maskedCount == batch.instanceCount)
    for instance in 0..<batch.instanceCount {
      precondition(batch.tokenRange(of: instance).count <= encoder.longestInstance, "a longer query")
    }
    progress?.tick()
    encoder.projectionRows(batch, parameters: UnsafePointer(state.parameters.start), into: rows)
  }

  func begin(rows: UnsafePointer<Float>, count: Int) {
    precondition(count <= instancesAtOnce)
    progress?.tick()
    (self.rows, self.count) = (rows, count)
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
