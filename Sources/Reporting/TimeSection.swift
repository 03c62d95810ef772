/// Where the time went: by what was done, by a step's phases, and by rank.
struct TimeSection {
  let runs: [RunRecord]

  func render() -> HTML? {
    let times = runs.enumerated().compactMap { index, run in TimeShares(run).map { (index, $0) } }
    var html: HTML = ""
    if !times.isEmpty {
      html += "<div class=\"card bars\"><h3>All of the training</h3>\(times.map { shares($0.1, of: $0.0) })\(legend)</div>"
    }
    for (index, run) in runs.enumerated() {
      let suffix = runs.count > 1 ? ", \(run.name)" : ""
      let phases = StepPhases(run)
      let step = phases.total
      if step > 0 {
        html += bars(
          "A step by phase, rank 0's first thread\(suffix)",
          phases.means.map { (Self.words[$0.name] ?? $0.name, $0.seconds) }, colour: index)
      }
      html += ranks(run, index, suffix)
    }
    return html.isEmpty ? nil : "<section><h2>Time</h2>\(html)</section>"
  }

  private static let words = [
    "tree_sum": "sum of shards", "threads": "waiting for threads", "batch": "making the batch", "update": "norm and Adam",
  ]

  /// Colours of `TimeShares.parts`, in order.
  private static let colours = [1, 2, 5, 3]

  private var legend: HTML {
    let items = zip(TimeShares.names, Self.colours).map { name, colour -> HTML in
      "<li><span class=\"swatch s\(colour)\"></span>\(name)</li>"
    }
    return "<ul class=\"legend\" style=\"margin:12px 0 0\">\(items)</ul>"
  }

  private func shares(_ shares: TimeShares, of index: Int) -> HTML {
    var stack: HTML = ""
    var words: [String] = []
    for ((name, minutes), colour) in zip(zip(TimeShares.names, shares.parts), Self.colours) where minutes > 0 {
      let share = 100 * minutes / shares.total
      stack += """
        <i class="s\(colour)" style="width:\(place: share)%" title="\(name): \(NumberText.duration(minutes: minutes))"></i>
        """
      words.append("\(name) \(NumberText.fixed(share, 1)) %")
    }
    return """
      <p style="margin:0 0 6px">\(runs.count > 1 ? runs[index].label(index) : "")
      <span class="soft">\(NumberText.duration(minutes: shares.total)): \(words.joined(separator: ", "))</span></p>\
      <div class="stack" style="margin-bottom:10px">\(stack)</div>
      """
  }

  private static let mostRanks = 32

  private func ranks(_ run: RunRecord, _ index: Int, _ suffix: String) -> HTML {
    let ranks = RankWork(run)
    if !ranks.means.isEmpty {
      let ordered = ranks.means.enumerated().sorted { ($1.element, $0.offset) < ($0.element, $1.offset) }
      let shown = ordered.prefix(Self.mostRanks).sorted { $0.offset < $1.offset }
      let rest = ordered.count > shown.count ? ", the slowest \(shown.count) of \(ordered.count)" : ""
      return bars(
        "A rank's own work per step\(rest)\(suffix)", shown.map { (ranks.name($0.offset), $0.element) }, colour: index)
    }
    guard ranks.slowest.count > 1 else { return "" }
    let shown = ranks.slowest.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(Self.mostRanks)
    let rows = shown.map { rank, count -> (name: String, value: Double, text: String) in
      let share = Double(count) / Double(ranks.reportCount)
      return (ranks.name(rank), share, "\(NumberText.fixed(100 * share, 1)) %")
    }
    return bars("How often each rank was the slowest\(suffix)", rows, colour: index)
  }

  private func bars(_ title: String, _ rows: [(String, Double)], colour: Int) -> HTML {
    bars(title, rows.map { ($0.0, $0.1, milliseconds($0.1)) }, colour: colour)
  }

  private func milliseconds(_ seconds: Double) -> String {
    let value = 1000 * seconds
    return NumberText.fixed(value, value < 10 ? 2 : value < 1000 ? 1 : 0) + " ms"
  }

  private func bars(_ title: String, _ rows: [(name: String, value: Double, text: String)], colour: Int) -> HTML {
    let most = rows.map(\.value).max() ?? 0
    let lines = rows.map { row -> HTML in
      let share = most > 0 ? 100 * max(0, row.value) / most : 0
      return """
        <div class="row"><span>\(row.name)</span><span class="track"><i class="s\(colour % Palette.count + 1)" style="width:\(place: share)%"></i></span>\
        <span>\(row.text)</span></div>
        """
    }
    return "<div class=\"card bars\"><h3>\(title)</h3>\(lines)</div>"
  }
}
