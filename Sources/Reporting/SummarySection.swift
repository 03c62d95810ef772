import Evaluation
import Training

/// What a reader wants to know first.
struct SummarySection {
  let runs: [RunRecord]

  func render() -> HTML? {
    let run = runs[0]
    var html: HTML = "<header><h1>\(runs.map(\.name).joined(separator: ", "))</h1>"
    html += runs.count > 1 ? "</header>" : "<p class=\"soft\">\(subtitle(run))</p></header>"
    if runs.count > 1 {
      html += table
    } else {
      let tiles = tiles(run).map { tile -> HTML in
        let note: HTML = tile.note.map { "<i>\($0)</i>" } ?? ""
        return "<div class=\"card tile\"><span>\(tile.name)</span><b>\(tile.value)</b>\(note)</div>"
      }
      if !tiles.isEmpty { html += "<div class=\"tiles\">\(tiles)</div>" }
    }
    return html
  }

  private func subtitle(_ run: RunRecord) -> String {
    var parts: [String] = []
    if let data = run.state?.dataName { parts.append("data \(data)") }
    if let configuration = run.settings {
      parts.append(
        "hidden \(configuration.hiddenSize), \(configuration.layerCount) layers, \(configuration.headCount) heads, L "
          + "\(configuration.maximumSequenceLength)")
    }
    parts.append(state(run))
    return parts.joined(separator: " \u{b7} ")
  }

  private func state(_ run: RunRecord) -> String {
    let step = run.history.lastStep ?? run.state?.step ?? 0
    guard let total = run.settings?.trainingSteps else { return "step \(NumberText.grouped(step))" }
    let done = run.history.reports.map(\.step).max() ?? run.state?.step ?? 0
    if run.test != nil && done < total { return "ended at step \(NumberText.grouped(done)) of \(NumberText.grouped(total))" }
    if done >= total { return "\(NumberText.grouped(total)) steps, finished" }
    return "step \(NumberText.grouped(done)) of \(NumberText.grouped(total))"
  }

  private struct Tile {
    var name, value: String
    var note: String?
  }

  private func tiles(_ run: RunRecord) -> [Tile] {
    var tiles: [Tile] = []
    let evaluation = run.test ?? run.bestValidation
    let split = run.test == nil ? "validation" : "test"
    for (name, key) in [("NDCG@10", "ndcg@10"), ("HR@10", "hit@10")] {
      for kind in EvaluationProtocol.allCases {
        guard let value = evaluation?.value(kind.key(key)) else { continue }
        let popular = evaluation?.value("popularity/" + kind.key(key)).flatMap { $0 > 0 ? $0 : nil }
        tiles.append(
          Tile(
            name: "\(name), \(split), \(kind.rawValue)", value: NumberText.fixed(value, 4),
            note: popular.map { "\(NumberText.fixed(value / $0, 1)) \u{d7} most popular" }))
        break
      }
    }
    if let loss = run.history.reports.last(where: { $0.loss != nil })?.loss {
      tiles.append(Tile(name: "last training loss", value: NumberText.fixed(loss, 4)))
    }
    if let minutes = run.history.minutes {
      let steps = run.history.reports.map(\.step).max().map { "\(NumberText.grouped($0)) steps" }
      tiles.append(Tile(name: "training", value: NumberText.duration(minutes: minutes), note: steps))
    }
    if let speed = run.medianSpeed { tiles.append(Tile(name: "instances per second", value: NumberText.short(speed), note: "median")) }
    return tiles
  }

  /// Several runs beside each other.
  private var table: HTML {
    let rows = runs.enumerated().map { index, run -> HTML in
      let cells = [
        run.state?.dataName ?? "\u{2013}", state(run),
        run.history.minutes.map { NumberText.duration(minutes: $0) } ?? "\u{2013}",
        run.medianSpeed.map { NumberText.short($0) } ?? "\u{2013}",
        run.bestValidation.flatMap { best in
          best.value(run.monitor).map { "\(run.monitor) \(NumberText.fixed($0, 4)) at step \(NumberText.grouped(best.step))" }
        } ?? "\u{2013}",
      ].map { cell -> HTML in "<td>\(cell)</td>" }
      return "<tr><th>\(run.label(index))</th>\(cells)</tr>"
    }
    let names = ["run", "data", "state", "training", "instances/s", "best validation"].map { name -> HTML in "<th>\(name)</th>" }
    let warning: HTML =
      RunRecord.haveSameData(runs) ? "" : "<p class=\"soft\">The runs have different data: their metrics cannot be compared.</p>"
    return """
      \(warning)<div class="card scroll"><table><thead><tr>\(names)</tr></thead><tbody>\(rows)</tbody></table></div>
      """
  }
}

extension RunRecord {
  var medianSpeed: Double? {
    let speeds = history.reports.compactMap(\.instancesPerSecond).sorted()
    return speeds.isEmpty ? nil : speeds[speeds.count / 2]
  }
}
