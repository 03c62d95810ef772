import Evaluation

/// The test metrics, or the best validation's where there is no test yet, a table per protocol.
struct ResultsSection {
  let runs: [RunRecord]

  func render() -> HTML? {
    let hasTest = runs.contains { $0.test != nil }
    let evaluations = runs.map { hasTest ? $0.test : $0.bestValidation }
    var tables: HTML = ""
    for kind in EvaluationProtocol.allCases {
      let columns = Metrics.names.filter { name in evaluations.contains { $0?.value(kind.key(name)) != nil } }
      if !columns.isEmpty { tables += table(kind, columns, evaluations) }
    }
    if tables.isEmpty { return nil }
    let title = hasTest ? "Test" : "Best validation"
    return """
      <section><h2>\(title)</h2><p class="soft">\(about(evaluations))</p>\
      <div class="card scroll"><table>\(tables)</table></div></section>
      """
  }

  private func about(_ evaluations: [MetricsHistory.Evaluation?]) -> String {
    var parts: [String] = []
    for case (let run, let evaluation?) in zip(runs, evaluations) {
      let users = evaluation.users.map { ", \(NumberText.grouped($0)) users" } ?? ""
      let sampled = evaluation.usersOf.map { " (a sample of \(NumberText.grouped($0)))" } ?? ""
      parts.append((runs.count > 1 ? run.name + ": " : "") + "step \(NumberText.grouped(evaluation.step))\(users)\(sampled)")
    }
    return parts.joined(separator: "; ") + ". Numbers of different protocols cannot be compared."
  }

  private func table(_ kind: EvaluationProtocol, _ columns: [String], _ evaluations: [MetricsHistory.Evaluation?]) -> HTML {
    let head = columns.map { name -> HTML in "<th>\(name)</th>" }
    var rows: HTML = ""
    func row(_ label: HTML, _ values: [Double?], _ style: (Int) -> HTML, under: Bool = false) -> HTML {
      let cells = values.enumerated().map { column, value -> HTML in
        "<td\(style(column))>\(value.map { NumberText.fixed($0, 4) } ?? "\u{2013}")</td>"
      }
      return "<tr\(under ? HTML(stringLiteral: " class=\"under\"") : "")><th>\(label)</th>\(cells)</tr>"
    }
    let isComparable = runs.count > 1 && RunRecord.haveSameData(runs)
    let all = evaluations.map { evaluation in columns.map { evaluation?.value(kind.key($0)) } }
    let most = columns.indices.map { column in all.compactMap { $0[column] }.max() }
    for (index, run) in runs.enumerated() where evaluations[index] != nil {
      let values = all[index]
      rows += row(runs.count > 1 ? run.label(index) : "model", values) { column in
        isComparable && values[column] != nil && values[column] == most[column] ? " class=\"best\"" : ""
      }
    }
    // It depends on the data alone.
    for (run, evaluation) in zip(runs, evaluations) {
      let values = columns.map { evaluation?.value("popularity/" + kind.key($0)) }
      guard values.contains(where: { $0 != nil }) else { continue }
      let isOfAll = runs.count == 1 || isComparable
      rows += row(isOfAll ? "most popular" : "most popular, \(run.name)", values, { _ in "" }, under: true)
      if isOfAll { break }
    }
    return "<tbody><tr class=\"group\"><th>\(kind.rawValue)</th>\(head)</tr>\(rows)</tbody>"
  }
}
