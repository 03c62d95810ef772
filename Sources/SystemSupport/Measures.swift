/// Seconds since it was made.
package struct Stopwatch: Sendable {
  private let start = ContinuousClock.now

  package init() {}

  package var seconds: Double { (ContinuousClock.now - start) / .seconds(1) }
}

extension Collection where Element: Comparable {
  /// The middle one in order, the larger of two; there must be one.
  package var median: Element { sorted()[count / 2] }
}
