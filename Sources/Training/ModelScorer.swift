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
