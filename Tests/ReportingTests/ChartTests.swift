import Reporting
import Testing

@Suite struct ChartTests {
  @Test(
    arguments: [
      (0.0, 1.0), (3, 3), (0, 0), (-5, -5), (1e-12, 2e-12), (-1e99, 1e99), (0.0012, 0.0013), (1, 1 + 1e-15), (-3, 17), (0, 20_000),
    ] as [(Double, Double)]) func scalesHoldTheirValuesAndFewMarks(low: Double, high: Double)
  {
    for isTight in [false, true] {
      let scale = ChartScale(low...high, wanted: 4, isTight: isTight, origin: 200, length: -180)
      #expect(scale.range.lowerBound <= low && scale.range.upperBound >= high)
      #expect((isTight ? 1 : 2)...9 ~= scale.marks.count, "\(scale.marks)")
      #expect(scale.marks == scale.marks.sorted())
      for value in [low, high] + scale.marks { #expect((19.9...200.1).contains(scale.place(value)), "\(value)") }
    }
  }

  @Test func longCurvesAreThinnedWithTheirSpread() {
    let columns = ThinnedSeries.columns
    let points = (0..<(columns * 10 + 3)).map { ChartSeries.Point(x: Double($0), y: $0 % 2 == 0 ? 1 : 3) }
    let thin = ThinnedSeries(points, keepsAll: false)
    #expect(thin.line.count == columns && thin.band.count == columns)
    #expect(thin.line.allSatisfy { $0.y > 1.7 && $0.y < 2.3 })
    #expect(thin.band.allSatisfy { $0.low == 1 && $0.high == 3 })
    #expect(ThinnedSeries(points, keepsAll: true).line.count == points.count)
    let same = [ChartSeries.Point](repeating: .init(x: 1, y: 1), count: columns * 2)
    #expect(ThinnedSeries(same, keepsAll: false).line.count == same.count)
  }

  @Test func aChartNeedsPoints() {
    let empty = ChartSeries(name: "a", colour: 0, points: [])
    #expect(LineChart(title: "t", axis: "steps", series: [empty]).render() == nil)
    let dashed = ChartSeries(name: "b", colour: 0, points: [.init(x: 1, y: 1)], isDashed: true)
    #expect(LineChart(title: "t", axis: "steps", series: [empty, dashed]).render() == nil)
  }

  @Test func pointsAreDrawnInOrderAndNamesEscaped() throws {
    let series = ChartSeries(name: "<a>", colour: 9, points: [.init(x: 10, y: 1), .init(x: 0, y: 0)], hasDots: true)
    let other = ChartSeries(name: "b", colour: 1, points: [.init(x: 5, y: 0.5)])
    let text = try #require(LineChart(title: "T & t", axis: "steps", series: [series, other]).render()).text
    #expect(text.contains("d=\"M44.0 188.0L348.0 10.0\""), "\(text)")
    #expect(text.contains("T &amp; t"))
    #expect(text.contains("&lt;a&gt;: 1.0000 at 10.00 steps"))
    #expect(!text.contains("<a>"))
    #expect(text.contains("class=\"dot s\(9 % Palette.count + 1)\""))
  }
}
