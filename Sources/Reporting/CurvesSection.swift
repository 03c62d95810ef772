import Evaluation

/// How training went: loss, validation, learning rate and speed, against steps and time.
struct CurvesSection {
  let runs: [RunRecord]

  private typealias Report = MetricsHistory.Report
  private typealias Point = ChartSeries.Point

  func render() -> HTML? {
    let unit = TimeUnit(minutes: runs.compactMap(\.history.minutes).max() ?? 0)
    let monitor = runs[0].monitor
    var charts = [
      curves("Training loss", "steps", x: Self.step, y: \.loss),
      curves("Training loss", unit.name, x: { $0.minutes.map { unit.value($0) } }, y: \.loss),
      validation(monitor, "steps") { Double($0.step) },
      validation(monitor, unit.name) { $0.minutes.map { unit.value($0) } },
    ]
    let others = EvaluationProtocol.allCases.flatMap { [$0.key("ndcg@10"), $0.key("hit@10")] }.filter { $0 != monitor }
    charts += others.map { validation($0, "steps") { Double($0.step) } }
    charts += [
      curves("Learning rate", "steps", x: Self.step, y: \.learningRate),
      curves("Gradient norm, before clipping", "steps", x: Self.step, y: \.gradientNorm),
      curves("Instances per second", "steps", fromZero: true, x: Self.step, y: \.instancesPerSecond),
    ]
    let drawn = charts.compactMap { $0.render() }
    guard !drawn.isEmpty else { return nil }
    return "<section><h2>Curves</h2>\(legend)<div class=\"charts\">\(drawn)</div></section>"
  }

  private static func step(_ report: Report) -> Double? { Double(report.step) }

  private var legend: HTML {
    if runs.count == 1 { return "" }
    return "<ul class=\"legend\">\(runs.enumerated().map { index, run -> HTML in "<li>\(run.label(index))</li>" })</ul>"
  }

  private func curves(
    _ title: String, _ axis: String, fromZero: Bool = false, x: (Report) -> Double?, y: (Report) -> Double?
  ) -> LineChart {
    let series = runs.enumerated().map { index, run in
      ChartSeries(
        name: run.name, colour: index,
        points: run.history.reports.compactMap { report in
          guard let x = x(report), let y = y(report) else { return nil }
          return Point(x: x, y: y)
        })
    }
    return LineChart(title: title, axis: axis, series: series, fromZero: fromZero)
  }

  /// A ring marks what the monitor calls the best; the dashed line is the most popular items' value.
  private func validation(_ key: String, _ axis: String, x: (MetricsHistory.Evaluation) -> Double?) -> LineChart {
    var series: [ChartSeries] = []
    for (index, run) in runs.enumerated() {
      func point(_ evaluation: MetricsHistory.Evaluation, _ key: String) -> Point? {
        guard let x = x(evaluation), let y = evaluation.value(key) else { return nil }
        return Point(x: x, y: y)
      }
      let validations = run.history.evaluations(of: "validation")
      series.append(
        ChartSeries(
          name: run.name, colour: index, points: validations.compactMap { point($0, key) }, hasDots: true,
          marked: run.bestValidation.flatMap { point($0, key) }))
      // Of runs on the same data it is the same.
      if index == 0 && RunRecord.haveSameData(runs) {
        series.append(
          ChartSeries(
            name: "most popular", colour: Palette.count - 1, points: validations.compactMap { point($0, "popularity/" + key) },
            isDashed: true))
      }
    }
    return LineChart(title: "Validation \(key)", axis: axis, series: series)
  }
}

/// The unit in which a run's time is best read.
struct TimeUnit {
  let name: String
  private let perMinute: Double

  init(minutes: Double) {
    (name, perMinute) = minutes < 3 ? ("seconds", 60) : minutes < 240 ? ("minutes", 1) : ("hours", 1 / 60)
  }

  func value(_ minutes: Double) -> Double { minutes * perMinute }
}
