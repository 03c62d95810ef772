import BERT4RecModel
import Communication
import Evaluation
import StallDetection
import SystemSupport

/// A model whose table's rows belong to several ranks, as evaluation and recommendation see it: what `ModelScorer` is for a replica,
/// with the same digits.
package final class ShardedModelScorer: ShardedScorer {
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

  /// Rows that are fetched stand where they would in a replica, often alone on a page.
  private static let mostTokens = 1 << 13

  /// Most rows that it wants at once.
  package static func rowsPerFetch(_ model: ModelConfiguration, longestQuery: Int?) -> Int {
    ShardRounds.rowsPerFetch(
      tokensPerFetch: mostTokens, longestQuery: min(longestQuery ?? .max, model.maximumSequenceLength))
  }

  package var vocabularySize: Int { state.configuration.vocabularySize }
  package var tokensPerFetch: Int { Self.mostTokens }
  package var rowWidth: Int { state.configuration.hiddenSize }
  package var shardScorers: [any ShardTileScorer] { scorers }

  package func fetch(_ tokens: [Int32]) throws(CollectiveFailure) { try fetchRows(tokens) }
}
