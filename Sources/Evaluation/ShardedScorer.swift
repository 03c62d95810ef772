import Communication
import Masking
import SystemSupport

/// Scores with a model whose table's rows belong to several ranks, tile t to rank t mod size (`RowOwnership`): no rank can score the
/// whole vocabulary, so all ranks look at the users of all. Letters: B instances, H hidden.
package protocol ShardedScorer: AnyObject {
  /// V: items + 4 (`TokenIDs`).
  var vocabularySize: Int { get }

  /// H: numbers that the projection reads for an instance.
  var rowWidth: Int { get }

  /// Most tokens that a rank wants in one fetch; the same on all ranks.
  var tokensPerFetch: Int { get }

  /// Most tokens of a query; the same on all ranks.
  var longestQuery: Int { get }

  /// One per thread.
  var shardScorers: [any ShardTileScorer] { get }

  /// Collective. Until the next call the rows of these tokens, ascending and each once, can be read on this rank too; other ranks
  /// bring their own.
  func fetch(_ tokens: [Int32]) throws(CollectiveFailure)
}

/// One thread's part of it.
package protocol ShardTileScorer: AnyObject {
  /// Overwrites what the projection reads (B, H) for a batch with one masked row per instance, at most `EvaluationBlock.size`; its
  /// tokens and labels have been fetched.
  func encode(_ batch: PackedBatch, into rows: UnsafeMutablePointer<Float>)

  /// Takes such rows, of whichever ranks, which the calls below are about and which stay where they are.
  func begin(rows: UnsafePointer<Float>, count: Int)

  /// The very bits that the token has in its tile. Of a token that is this rank's, or that it has fetched.
  func score(instance: Int, token: Int) -> Float

  /// The scores of a tile of this rank; valid until the next call.
  func tile(_ tokens: Range<Int>) -> ScoreTile
}
