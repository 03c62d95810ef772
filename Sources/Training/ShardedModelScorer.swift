import BERT4RecModel
import Communication
import Evaluation
import StallDetection
import SystemSupport

/// A model whose table's rows belong to several ranks, as evaluation and recommendation see it: what `ModelScorer` is for a replica,
/// with the same digits.
package final class ShardedModelScorer: ShardedScorer {
  /// Rows that are fetched stand where they would in a replica, often alone on a page: some 100 MiB at most.
  package let tokensPerFetch = 1 << 15
  package let longestQuery: Int
  private let state: ModelState
  private let scorers: [ModelTileScorer]
  private let fetchRows: ([Int32]) throws(CollectiveFailure) -> Void

  /// Reads the state's parameters as they are when it scores: what stands beside the table, this rank's rows, and those that it has
  /// fetched.
  ///
  /// - Parameters:
  ///   - threads: for so many it has memory.
  ///   - longestQuery: most tokens of a query of any rank, `[MASK]` included.
  ///   - fetch: collective; brings the rows and biases of these tokens, ascending and each once, to their places in the state.
  package init(
    _ state: ModelState, backend: BackendChoice = .auto, threads: Int = 1, longestQuery: Int, progress: RankProgress? = nil,
    fetch: @escaping ([Int32]) throws(CollectiveFailure) -> Void
  ) throws(ProgramFailure) {
    precondition(threads > 0)
    self.state = state
    self.longestQuery = min(longestQuery, state.configuration.maximumSequenceLength)
    scorers = try (0..<threads).map { _ throws(ProgramFailure) in
      try ModelTileScorer(state, backend: backend, longestQuery: longestQuery, progress: progress)
    }
    fetchRows = fetch
  }

  /// Bytes of a rank's buffers.
  package static func byteCount(
    _ model: ModelConfiguration, backend: BackendChoice, longestQuery: Int?, threads: Int, ranks: Int
  ) -> Int {
    ModelScorer.byteCount(model, backend: backend, longestQuery: longestQuery) * threads
      + ShardedBlocks.byteCount(rowWidth: model.hiddenSize, vocabularySize: model.vocabularySize, ranks: ranks)
  }

  package var vocabularySize: Int { state.configuration.vocabularySize }
  package var rowWidth: Int { state.configuration.hiddenSize }
  package var shardScorers: [any ShardTileScorer] { scorers }

  package func fetch(_ tokens: [Int32]) throws(CollectiveFailure) { try fetchRows(tokens) }
}
