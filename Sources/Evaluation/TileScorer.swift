import Masking
import SystemSupport
import TableSharding

/// Scores the instances of a batch for one tile of the vocabulary after the other, so that the scores of a large catalogue never
/// stand in memory as a whole and the catalogue's table is read once per batch. Each thread has one of its own.
package protocol TileScorer: AnyObject {
  /// Most instances of a batch. Depends on the scorer and V alone, never on ranks or threads.
  var instancesAtOnce: Int { get }

  /// Takes a batch with one masked row per instance, which the calls below are about.
  func begin(_ batch: PackedBatch) throws(ProgramFailure)

  /// The very bits that the token has in its tile.
  func score(instance: Int, token: Int) -> Float

  /// The scores of some tokens, at most `ScoreTile.width`; valid until the next call.
  func tile(_ tokens: Range<Int>) -> ScoreTile
}

/// Scores of a batch's instances for some neighbouring tokens (B, W).
package struct ScoreTile {
  /// Tokens of a tile: a block of a table's rows that one rank has. The order of the additions in `masked_lm_loss` depends on it.
  package static let width = RowOwnership.blockRows

  private let scores: UnsafePointer<Float>
  private let stride: Int
  private let tokens: Range<Int>

  /// `stride` floats lie between the beginnings of two instances' scores.
  package init(_ scores: UnsafePointer<Float>, stride: Int, tokens: Range<Int>) {
    self.scores = scores
    self.stride = stride
    self.tokens = tokens
  }

  package func row(_ instance: Int) -> ScoreRow { ScoreRow(scores + instance * stride, tokens: tokens) }

  /// How many a vocabulary has.
  static func count(vocabularySize: Int) -> Int { (vocabularySize + width - 1) / width }

  /// Calls `body` with the tiles of a vocabulary, or of one of `parts` equal parts of them, ascending.
  package static func forEach(
    _ scorer: any TileScorer, vocabularySize: Int, part: Int = 0, of parts: Int = 1, _ body: (ScoreTile) -> Void
  ) {
    let count = count(vocabularySize: vocabularySize)
    for tile in part * count / parts..<(part + 1) * count / parts {
      body(scorer.tile(tile * width..<min((tile + 1) * width, vocabularySize)))
    }
  }
}

/// A scorer whose work several threads of a process can share.
package protocol ParallelScorer: SequenceScorer {
  /// One per thread.
  var tileScorers: [any TileScorer] { get }
}

extension SequenceScorer {
  /// One per thread that can work.
  package var workers: [any TileScorer] { (self as? any ParallelScorer)?.tileScorers ?? [WholeRowScorer(self)] }
}

/// Tiles of a scorer that gives whole rows.
private final class WholeRowScorer: TileScorer {
  private let scorer: any SequenceScorer
  private var scores = UnsafeBufferPointer<Float>(start: nil, count: 0)  // (B, V)

  init(_ scorer: any SequenceScorer) { self.scorer = scorer }

  var instancesAtOnce: Int { scorer.instancesAtOnce }

  func begin(_ batch: PackedBatch) throws(ProgramFailure) { scores = try scorer.checkedScores(batch) }

  func score(instance: Int, token: Int) -> Float { scores[instance * scorer.vocabularySize + token] }

  func tile(_ tokens: Range<Int>) -> ScoreTile {
    guard let start = scores.baseAddress else { preconditionFailure("a tile before a batch") }
    return ScoreTile(start + tokens.lowerBound, stride: scorer.vocabularySize, tokens: tokens)
  }
}
