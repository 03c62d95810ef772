/// Seconds since it was made.
package struct Stopwatch: Sendable {
  private let start = ContinuousClock.now

  package init() {}

  package var seconds: Double { (ContinuousClock.now - start) / .seconds(1) }
}

// Of numbers alone: for any element that can be compared the compiler leaves a sort that allocates with each comparison.
extension [Double] {
  /// The middle one in order, the larger of two; there must be one.
  package var median: Double { sorted()[count / 2] }
}
