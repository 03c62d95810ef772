/// Points of a curve.
package struct ChartSeries: Sendable {
  package struct Point: Sendable {
    package var x, y: Double

    package init(x: Double, y: Double) { (self.x, self.y) = (x, y) }
  }

  var name: String
  /// Of the run, which has one colour throughout the page.
  var colour: Int
  var points: [Point]
  /// Each point stands for itself: it gets a dot, and none are merged.
  var hasDots: Bool
  /// Something to compare with.
  var isDashed: Bool
  /// A point to be seen first, such as the best one.
  var marked: Point?

  package init(
    name: String, colour: Int, points: [Point], hasDots: Bool = false, isDashed: Bool = false, marked: Point? = nil
  ) {
    (self.name, self.colour, self.points) = (name, colour, points)
    (self.hasDots, self.isDashed, self.marked) = (hasDots, isDashed, marked)
  }
}

/// Round numbers along an axis.
package struct ChartScale: Sendable {
  package let marks: [Double]
  let step: Double
  package let range: ClosedRange<Double>
  private let origin, length: Double

  /// - Parameters:
  ///   - values: smallest and largest one that must fit.
  ///   - wanted: about as many marks.
  ///   - origin: Place of the range's lower bound; `length` may be negative.
  package init(_ values: ClosedRange<Double>, wanted: Int, isTight: Bool = false, origin: Double, length: Double) {
    (self.origin, self.length) = (origin, length)
    var (low, high) = (values.lowerBound, values.upperBound)
    if !(high - low > 1e-9 * max(high.magnitude, low.magnitude)) {
      let margin = high == 0 ? 1 : high.magnitude / 2
      (low, high) = (low - (low == 0 ? 0 : margin), high + margin)
    }
    // One more mark than wanted is better than half as many.
    let rough = (high - low) / Double(wanted + 1)
    var power = 1.0
    while power > rough { power /= 10 }
    while power * 10 <= rough { power *= 10 }
    step = [1, 2, 5, 10].map { $0 * power }.first { $0 >= rough } ?? 10 * power
    let (first, last) = ((low / step).rounded(.down), (high / step).rounded(.up))
    range = isTight ? low...high : (first * step)...(last * step)
    var marks: [Double] = []
    for index in 0...Int(min(100, max(1, last - first))) {
      let mark = (first + Double(index)) * step
      // A hair's breadth of rounding is no reason to leave out the last one.
      if mark >= range.lowerBound - 1e-6 * step && mark <= range.upperBound + 1e-6 * step { marks.append(mark) }
    }
    self.marks = marks
  }

  package func place(_ value: Double) -> Double {
    origin + length * (value - range.lowerBound) / (range.upperBound - range.lowerBound)
  }
}
