import BERT4RecModel
import Evaluation
import Masking
import SystemSupport

/// Scores items by the cosine between their rows of the embedding table and that of the last item of a query: what a recommender needs
/// to find similar items. The result says how alike the model takes items to be, not what it would recommend.
public final class SimilarityScorer: SequenceScorer {
  private let state: ModelState
  private let scorers: [CosineTileScorer]
  private var wholeRows: AlignedMemory?

  /// Reads the state's parameters as they are now. `threads`: for so many it has memory.
  package init(_ state: ModelState, threads: Int = 1) throws(ProgramFailure) {
    precondition(threads > 0)
    self.state = state
    let norms = InverseNorms(state)
    scorers = try (0..<threads).map { _ throws(ProgramFailure) in try CosineTileScorer(state, norms) }
  }

  public var vocabularySize: Int { state.configuration.vocabularySize }

  public func scores(_ batch: PackedBatch) throws(ProgramFailure) -> UnsafeBufferPointer<Float> {
    let (size, stride) = (vocabularySize, MemoryLayout<Float>.stride)
    precondition(batch.instanceCount <= instancesAtOnce, "more instances than instancesAtOnce")
    if wholeRows == nil {
      wholeRows = try AlignedMemory(byteCount: instancesAtOnce * size * stride, for: "the similarities")
    }
    guard let rows = wholeRows?.elements(Float.self) else { preconditionFailure("the memory is there") }
    scorers[0].begin(batch)
    scorers[0].compare(0..<batch.instanceCount, 0..<size, into: Matrix(rows.start, batch.instanceCount, size))
    return UnsafeBufferPointer(rebasing: rows[..<(batch.instanceCount * size)])
  }
}

extension SimilarityScorer: ParallelScorer {
  package var tileScorers: [any TileScorer] { scorers }
}

/// 1 / length of each row of the embedding table, 0 for a row of zeros, which is like no other.
private struct InverseNorms: Sendable {
  let values: [Float]  // (V)

  init(_ state: ModelState) {
    let (table, hidden) = (state.parameters.start + state.layout.wordEmbeddings, state.configuration.hiddenSize)
    values = (0..<state.configuration.vocabularySize).map { row in
      let squares = (0..<hidden).reduce(0.0) { $0 + Double(table[row * hidden + $1]) * Double(table[row * hidden + $1]) }
      return squares == 0 ? 0 : Float(1 / squares.squareRoot())
    }
  }
}

/// One thread's part. Letters: B instances, H hidden, W tokens of a tile.
private final class CosineTileScorer: TileScorer {
  let instancesAtOnce = EvaluationBlock.size
  private let state: ModelState
  private let norms: InverseNorms
  private let products = NativeBackend()
  private let memory: AlignedMemory
  private let rows: UnsafeMutablePointer<Float>  // of the items asked about, of length 1 (B, H)
  private let scores: UnsafeMutablePointer<Float>  // (B, W), a cache line more between rows
  private let stride: Int
  private var count = 0

  init(_ state: ModelState, _ norms: InverseNorms) throws(ProgramFailure) {
    (self.state, self.norms) = (state, norms)
    stride = paddedColumns(min(ScoreTile.width, state.configuration.vocabularySize)) + 16
    let elements = EvaluationBlock.size * (stride + state.configuration.hiddenSize)
    memory = try AlignedMemory(byteCount: elements * MemoryLayout<Float>.stride, for: "the similarities")
    scores = memory.elements(Float.self).start
    rows = scores + EvaluationBlock.size * stride
  }

  func begin(_ batch: PackedBatch) {
    precondition(batch.instanceCount <= instancesAtOnce)
    count = batch.instanceCount
    let (table, hidden) = (state.parameters.start + state.layout.wordEmbeddings, state.configuration.hiddenSize)
    let tokens = batch.tokens
    for instance in 0..<count {
      // The last token is [MASK].
      let item = Int(tokens[batch.tokenRange(of: instance).upperBound - 2])
      for element in 0..<hidden { rows[instance * hidden + element] = table[item * hidden + element] * norms.values[item] }
    }
  }

  func score(instance: Int, token: Int) -> Float {
    var score: Float = 0
    withUnsafeMutablePointer(to: &score) { compare(instance..<instance + 1, token..<token + 1, into: Matrix($0, 1, 1)) }
    return score
  }

  func tile(_ tokens: Range<Int>) -> ScoreTile {
    compare(0..<count, tokens, into: Matrix(scores, count, tokens.count, stride: stride))
    return ScoreTile(scores, stride: stride, tokens: tokens)
  }

  func compare(_ instances: Range<Int>, _ tokens: Range<Int>, into scores: Matrix) {
    let hidden = state.configuration.hiddenSize
    products.project(
      Matrix(rows + instances.lowerBound * hidden, instances.count, hidden),
      Matrix(UnsafePointer(state.parameters.start) + state.layout.wordEmbeddings + tokens.lowerBound * hidden, tokens.count, hidden),
      bias: nil, into: scores)
    norms.values.withUnsafeBufferPointer { norms in
      for row in 0..<instances.count {
        let values = scores.base + row * scores.stride
        for (place, token) in tokens.enumerated() { values[place] *= norms[token] }
      }
    }
  }
}
