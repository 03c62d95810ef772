import SystemSupport

/// What an evaluation of lists found.
package struct TargetReport: Sendable {
  /// What was evaluated, for the table's first line.
  package var subject: String
  /// Updates that a model has had; nil for another program's lists.
  package var step: Int?
  /// Users with targets, all of whom the means are over.
  package var users: Int
  /// Ascending.
  package var cutoffs: [Int]
  /// In order: "recall@10[full]", ..., then those of the most popular items under "popularity/recall@10[full]".
  package var metrics: [(key: String, value: Double)]
  /// "targets", "unknown_targets", ...
  package var counts: [(key: String, value: Int)]
  package var notes: [String]

  /// The metric under a key; nil when there is none.
  package func value(_ key: String) -> Double? { metrics.first { $0.key == key }?.value }

  /// One line of JSON.
  package var json: String {
    var members = step.map { [JSON.Member("step", .integer($0))] } ?? []
    members.append(JSON.Member("users", .integer(users)))
    members += counts.map { JSON.Member($0.key, .integer($0.value)) }
    members += metrics.map { JSON.Member($0.key, .double($0.value)) }
    if !notes.isEmpty { members.append(JSON.Member("notes", .array(notes.map { .string($0) }))) }
    return JSON.object(members).spacedLine
  }

  /// A row per metric, a column per cut-off.
  package var table: String {
    let hasBaseline = metrics.contains { $0.key.hasPrefix("popularity/") }
    let targets = counts.first { $0.key == "targets" }.map { ", \($0.value) targets" } ?? ""
    var rows = [["metric"] + cutoffs.map { "@\($0)" }]
    for name in TargetMetrics.names + CatalogueSums.names {
      let keys = cutoffs.map { EvaluationProtocol.full.key("\(name)@\($0)") }
      guard value(keys[0]) != nil else { continue }
      rows.append([name.replacing("_", with: " ")] + keys.map { cell($0, decimals: name == "mean_popularity" ? 1 : 4) })
    }
    let cells = hasBaseline ? "; each cell: \(step == nil ? "predictions" : "model") | most popular" : ""
    let first = "\(subject), protocol full, \(users) users\(targets)\(cells)"
    return ([first] + EvaluationReport.aligned(rows) + notes.map { "note: \($0)" }).joined(separator: "\n")
  }

  private func cell(_ key: String, decimals: Int) -> String {
    [key, "popularity/" + key].compactMap(value).map { DecimalText.fixed($0, decimals) }.joined(separator: " | ")
  }
}
