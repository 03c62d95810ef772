import CKernels

/// One instance's scores of some neighbouring tokens, and what an evaluation asks of them: by the kernels, with the same bits on every
/// processor.
package struct ScoreRow {
  package struct Summary {
    /// Tokens that score above and like the score that they are compared with.
    package let greater, equal: Int
    /// Of no meaning where not all scores are finite.
    package let maximum: Float
    package let isFinite: Bool
  }

  // Constants, which nobody writes.
  nonisolated(unsafe) private static let kernels = kernel_set_best()

  package let tokens: Range<Int>
  private let scores: UnsafePointer<Float>  // (tokens)

  /// `scores` begin with that of the first of the tokens.
  package init(_ scores: UnsafePointer<Float>, tokens: Range<Int>) {
    self.scores = scores
    self.tokens = tokens
  }

  package subscript(token: Int) -> Float { scores[token - tokens.lowerBound] }

  package func summary(comparedWith score: Float) -> Summary {
    let found = Self.kernels.pointee.score_summary(scores, tokens.count, score)
    return Summary(
      greater: Int(found.greater), equal: Int(found.equal), maximum: found.maximum, isFinite: found.is_finite != 0)
  }

  /// The sum of exp(score - maximum), given the largest score.
  package func exponentialSum(maximum: Float) -> Double {
    Self.kernels.pointee.exponential_sum(scores, tokens.count, maximum)
  }

  /// The first token from `start` on that scores above a bound; the end of `tokens` where none does.
  package func first(from start: Int, above bound: Float) -> Int {
    tokens.lowerBound
      + Int(Self.kernels.pointee.first_above(scores, start - tokens.lowerBound, tokens.count, bound))
  }
}
