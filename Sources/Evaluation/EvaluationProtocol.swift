/// What a held-out item is ranked against.
///
/// Sampled protocols order models otherwise than the full ranking does (Krichene & Rendle, KDD 2020): numbers of
/// different protocols cannot be compared, so every metric's key carries its protocol.
public enum EvaluationProtocol: String, Sendable, CaseIterable {
  /// All items that are not in the user's history.
  case full
  /// 100 distinct unrated items, drawn by popularity: the original's default, used for its published numbers.
  case pop100
  /// 100 unrated items, drawn uniformly with replacement.
  case uniform100

  /// Candidates that a sampled protocol draws; nil for `full`.
  public var negativeCount: Int? { self == .full ? nil : 100 }

  /// How many of them draw candidates.
  package static func sampledCount(_ protocols: [EvaluationProtocol]) -> Int { protocols.count { $0.negativeCount != nil } }

  /// A metric's key in reports and metrics.jsonl, such as "ndcg@10[full]".
  public func key(_ metric: String) -> String { "\(metric)[\(rawValue)]" }
}
