import InteractionData
import SystemSupport

/// What an evaluation found.
public struct EvaluationReport: Sendable {
  /// Which item was held out.
  public var split: EvaluationSplit
  /// Updates that the model has had.
  public var step: Int
  /// Users that were asked: all that have a held-out item, or a sample of these.
  public var users: Int
  /// Users with a held-out item.
  public var totalUsers: Int
  /// What was measured, in the order in which it was asked for.
  public var protocols: [EvaluationProtocol]
  /// In order, under the keys of metrics.jsonl: "hit@1[full]", "mrr[pop100]", "masked_lm_loss",
  /// "popularity/ndcg@10[full]", and those of other hooks.
  public var metrics: [(key: String, value: Double)]
  /// The original's line of metrics a protocol.
  public var lines: [String]
  /// What a reader should know, such as how many users had too few candidates.
  public var notes: [String]

  /// Of how many users those who were asked are a sample; nil where all were.
  public var sampledFrom: Int? { users < totalUsers ? totalUsers : nil }

  /// The metric under a key; nil when there is none.
  public func value(_ key: String) -> Double? { metrics.first { $0.key == key }?.value }

  /// One metric in words, with the most popular items' value.
  public func summary(_ key: String) -> String {
    let popular = value("popularity/" + key).map { ", most popular \(DecimalText.fixed($0, 4))" } ?? ""
    let sampled = sampledFrom.map { " of \($0)" } ?? ""
    return "\(key) \(value(key).map { DecimalText.fixed($0, 4) } ?? "-")\(popular) (\(users)\(sampled) users)"
  }

  /// One line of JSON, in order: step, split, users, users_of where they are a sample, every metric at top level, and the notes when
  /// there are any. A metric that is not finite (only a hook of one's own can give one) is null.
  public var json: String {
    var members = [
      JSON.Member("step", .integer(step)), JSON.Member("split", .string(split.rawValue)), JSON.Member("users", .integer(users)),
    ]
    if let sampledFrom { members.append(JSON.Member("users_of", .integer(sampledFrom))) }
    members += metrics.map { JSON.Member($0.key, .double($0.value)) }
    if !notes.isEmpty { members.append(JSON.Member("notes", .array(notes.map { .string($0) }))) }
    return JSON.object(members).spacedLine
  }
}

extension EvaluationReport {
  /// A plain table of at most 80 columns: two rows per protocol, the model's and the most popular items', a column per metric.
  public var table: String {
    var rows = [["protocol", ""] + Metrics.names]
    for evaluationProtocol in protocols {
      let keys = Metrics.names.map { evaluationProtocol.key($0) }
      rows.append([evaluationProtocol.rawValue, "model"] + keys.map { text($0, decimals: 4) })
      rows.append(["", "popular"] + keys.map { text("popularity/" + $0, decimals: 4) })
    }
    let sampled = sampledFrom.map { " (a sample of \($0))" } ?? ""
    var lines = ["\(split.rawValue) split, step \(step), \(users) users\(sampled); popular: the most popular items"]
    lines += Self.aligned(rows)
    lines.append(
      "top 10: coverage \(cell(EvaluationProtocol.full.key("coverage@10"), decimals: 4)), mean popularity "
        + cell(EvaluationProtocol.full.key("mean_popularity@10"), decimals: 1))
    if let loss = value("masked_lm_loss"), let accuracy = value("masked_lm_accuracy") {
      lines.append("masked items: loss \(DecimalText.fixed(loss, 4)), accuracy \(DecimalText.fixed(accuracy, 4))")
    }
    // What hooks of one's own found.
    let known = Set(
      EvaluationProtocol.allCases.flatMap { kind in
        (Metrics.names + ["coverage@10", "mean_popularity@10"]).map { kind.key($0) }
      } + ["masked_lm_loss", "masked_lm_accuracy"])
    lines += metrics.filter { !known.contains($0.key) && !$0.key.hasPrefix("popularity/") }
      .map { "\($0.key): \(DecimalText.fixed($0.value, 4))" }
    lines += notes.map { "note: \($0)" }
    return lines.joined(separator: "\n")
  }

  /// Lines of a table whose columns are as wide as their widest cell.
  static func aligned(_ rows: [[String]]) -> [String] {
    let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
      let cells = row.enumerated().map { column, text in
        text + String(repeating: " ", count: widths[column] - text.count)
      }
      // Trailing blanks help nobody.
      let line = cells.joined(separator: "  ")
      return String(line[...(line.lastIndex { $0 != " " } ?? line.startIndex)])
    }
  }

  private func cell(_ key: String, decimals: Int) -> String {
    "\(text(key, decimals: decimals)) (popular \(text("popularity/" + key, decimals: decimals)))"
  }

  private func text(_ key: String, decimals: Int) -> String { value(key).map { DecimalText.fixed($0, decimals) } ?? "-" }
}
