/// A curve with fewer points than a screen has columns, that still tells how far the values spread.
package struct ThinnedSeries {
  /// Means of neighbouring points.
  package private(set) var line: [ChartSeries.Point] = []
  /// Smallest and largest value around each point of `line`; empty where each point stands for itself.
  package private(set) var band: [(low: Double, high: Double)] = []

  package static let columns = 160

  /// `points` in ascending x.
  package init(_ points: [ChartSeries.Point], keepsAll: Bool) {
    guard points.count > Self.columns, !keepsAll, let first = points.first, let last = points.last, last.x > first.x else {
      line = points
      return
    }
    var start = 0
    for column in 0..<Self.columns {
      let end = column == Self.columns - 1 ? .infinity : first.x + (last.x - first.x) * Double(column + 1) / Double(Self.columns)
      let begin = start
      while start < points.count && points[start].x < end { start += 1 }
      if start == begin { continue }
      let part = points[begin..<start]
      let count = Double(part.count)
      line.append(.init(x: part.reduce(0) { $0 + $1.x / count }, y: part.reduce(0) { $0 + $1.y / count }))
      band.append((part.reduce(.infinity) { min($0, $1.y) }, part.reduce(-.infinity) { max($0, $1.y) }))
    }
  }
}
