/// Successive halving (Jamieson and Talwalkar 2016): all trials train for a short time, the best third of them three times as long
/// from the start, and so on until one is left. Each rung costs about the same.
package struct HalvingPlan: Sendable, Equatable {
  package struct Rung: Sendable, Equatable {
    package let trials: Int
    /// Of training, for each trial.
    package let minutes: Double
  }

  static let factor = 3

  package let rungs: [Rung]

  /// `trials` and `budget`, in minutes of training, are at least 1 and above 0.
  package init(trials: Int, budget: Double) {
    precondition(trials >= 1 && budget > 0)
    var counts = [trials]
    while let last = counts.last, last > 1 { counts.append((last + Self.factor - 1) / Self.factor) }
    var lengths = [1.0]
    while lengths.count < counts.count { lengths.append((lengths.last ?? 1) * Double(Self.factor)) }
    let total = zip(counts, lengths).reduce(0) { $0 + Double($1.0) * $1.1 }
    rungs = zip(counts, lengths).map { Rung(trials: $0, minutes: $1 * budget / total) }
  }
}
