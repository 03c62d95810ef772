import SystemSupport

/// What scores on a rank.
package enum RankScorer {
  /// Each rank has a replica.
  case replicas(any SequenceScorer)
  /// The table's rows belong to several ranks.
  case sharded(any ShardedScorer)

  package var vocabularySize: Int {
    switch self {
    case .replicas(let scorer): scorer.vocabularySize
    case .sharded(let scorer): scorer.vocabularySize
    }
  }

  /// What recommends with it. Throws as `Recommender.init` does.
  package func makeListSource(itemCounts: [Int64], maximumLength: Int) throws(ProgramFailure) -> any ListSource {
    switch self {
    case .replicas(let scorer): try Recommender(scorer: scorer, itemCounts: itemCounts, maximumLength: maximumLength)
    case .sharded(let scorer): try ShardedRecommender(scorer: scorer, itemCounts: itemCounts, maximumLength: maximumLength)
    }
  }
}
