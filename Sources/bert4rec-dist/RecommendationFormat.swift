import ArgumentParser

/// What `recommend` writes.
enum RecommendationFormat: String, ExpressibleByArgument, CaseIterable {
  case csv, tsv, jsonl, trec
}
