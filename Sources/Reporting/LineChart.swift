/// A chart of curves as inline SVG: no script; a title per column says its values under the pointer.
package struct LineChart {
  var title: String
  /// What x counts, such as "steps".
  var axis: String
  var series: [ChartSeries]
  /// Whether the vertical axis begins at 0.
  var fromZero: Bool

  package init(title: String, axis: String, series: [ChartSeries], fromZero: Bool = false) {
    (self.title, self.axis, self.series, self.fromZero) = (title, axis, series, fromZero)
  }

  private static let (width, height) = (360.0, 212.0)
  private static let (left, right, top, bottom) = (44.0, 12.0, 10.0, 24.0)
  private static let hoverColumns = 48

  /// Nil where there is nothing to draw.
  package func render() -> HTML? {
    let drawn = series.map { each in
      var sorted = each
      // Files may have any order.
      sorted.points = each.points.enumerated().sorted { ($0.element.x, $0.offset) < ($1.element.x, $1.offset) }.map(\.element)
      return sorted
    }.filter { !$0.points.isEmpty }
    let curves = drawn.filter { !$0.isDashed }
    guard !curves.isEmpty else { return nil }
    let thinned = drawn.map { ThinnedSeries($0.points, keepsAll: $0.hasDots) }
    let xs = curves.flatMap(\.points).map(\.x)
    let ys = drawn.flatMap(\.points).map(\.y)
    let x = ChartScale(
      (xs.min() ?? 0)...(xs.max() ?? 0), wanted: 4, isTight: true, origin: Self.left, length: Self.width - Self.left - Self.right)
    let y = ChartScale(
      min(ys.min() ?? 0, fromZero ? 0 : .infinity)...(ys.max() ?? 0), wanted: 4, origin: Self.height - Self.bottom,
      length: Self.top + Self.bottom - Self.height)

    var body: HTML = "\(grid(x, y))"
    for (each, thin) in zip(drawn, thinned) { body += curve(each, thin, x, y) }
    body += columns(curves, x)
    return """
      <figure class="card chart"><figcaption>\(title)</figcaption>\
      <svg viewBox="0 0 \(Int(Self.width)) \(Int(Self.height))" role="img" aria-label="\(summary(curves))">\(body)</svg></figure>
      """
  }

  private func grid(_ x: ChartScale, _ y: ChartScale) -> HTML {
    var lines: HTML = ""
    for mark in y.marks {
      let place = y.place(mark)
      lines += """
        <line class="grid" x1="\(place: Self.left)" x2="\(place: Self.width - Self.right)" y1="\(place: place)" y2="\(place: place)"/>\
        <text class="mark" x="\(place: Self.left - 6)" y="\(place: place + 3.5)" text-anchor="end">\(NumberText.mark(mark, step: y.step))</text>
        """
    }
    for mark in x.marks {
      let place = x.place(mark)
      // The axis' name stands at the right end.
      if place > Self.width - Self.right - 52 { continue }
      lines += """
        <text class="mark" x="\(place: place)" y="\(place: Self.height - 6)" text-anchor="middle">\(NumberText.mark(mark, step: x.step))</text>
        """
    }
    lines += """
      <text class="mark axis" x="\(place: Self.width - Self.right)" y="\(place: Self.height - 6)" text-anchor="end">\(axis)</text>
      """
    return lines
  }

  private func curve(_ series: ChartSeries, _ thin: ThinnedSeries, _ x: ChartScale, _ y: ChartScale) -> HTML {
    let colour = series.colour % Palette.count + 1
    if series.isDashed {
      let value = series.points[series.points.count - 1].y
      let place = y.place(value)
      return """
        <line class="reference s\(colour)" x1="\(place: Self.left)" x2="\(place: Self.width - Self.right)" y1="\(place: place)" y2="\(place: place)"/>\
        <text class="mark" x="\(place: Self.width - Self.right)" y="\(place: place - 4)" text-anchor="end">\(series.name)</text>
        """
    }
    func path(_ points: [(Double, Double)]) -> HTML {
      var text: HTML = ""
      for (index, point) in points.enumerated() {
        text += "\(index == 0 ? "M" : "L")\(place: x.place(point.0)) \(place: y.place(point.1))"
      }
      return text
    }
    var html: HTML = ""
    if !thin.band.isEmpty {
      let upper = zip(thin.line, thin.band).map { ($0.x, $1.high) }
      let lower = zip(thin.line, thin.band).map { ($0.x, $1.low) }.reversed()
      html += "<path class=\"band s\(colour)\" d=\"\(path(upper + lower))Z\"/>"
    }
    html += "<path class=\"curve s\(colour)\" d=\"\(path(thin.line.map { ($0.x, $0.y) }))\"/>"
    if series.hasDots || thin.line.count == 1 {
      // Many dots would hide their line.
      for point in thin.line where thin.line.count <= 60 {
        html += "<circle class=\"dot s\(colour)\" cx=\"\(place: x.place(point.x))\" cy=\"\(place: y.place(point.y))\" r=\"2.2\"/>"
      }
    }
    if let marked = series.marked {
      html += "<circle class=\"ring s\(colour)\" cx=\"\(place: x.place(marked.x))\" cy=\"\(place: y.place(marked.y))\" r=\"4.5\"/>"
    }
    return html
  }

  /// Columns without colour, each with what the curves are there.
  private func columns(_ curves: [ChartSeries], _ x: ChartScale) -> HTML {
    let width = (Self.width - Self.left - Self.right) / Double(Self.hoverColumns)
    var texts = [HTML](repeating: "", count: Self.hoverColumns)
    for curve in curves {
      var last = [Int: ChartSeries.Point]()
      for point in curve.points {
        let column = Int(((x.place(point.x) - Self.left) / width).rounded(.down))
        last[max(0, min(Self.hoverColumns - 1, column))] = point
      }
      for (column, point) in last {
        let name: HTML = curves.count > 1 ? "\(curve.name): " : ""
        texts[column] += "\(texts[column].isEmpty ? "" : "\n")\(name)\(NumberText.short(point.y)) at \(NumberText.short(point.x)) \(axis)"
      }
    }
    var html: HTML = ""
    for (column, text) in texts.enumerated() where !text.isEmpty {
      html += """
        <rect class="hover" x="\(place: Self.left + width * Double(column))" y="\(place: Self.top)" width="\(place: width)" \
        height="\(place: Self.height - Self.top - Self.bottom)"><title>\(text)</title></rect>
        """
    }
    return html
  }

  private func summary(_ curves: [ChartSeries]) -> String {
    let parts = curves.map { curve in
      "\(curve.name) from \(NumberText.short(curve.points[0].y)) to \(NumberText.short(curve.points[curve.points.count - 1].y))"
    }
    return "\(title) against \(axis): \(parts.joined(separator: "; "))"
  }
}
