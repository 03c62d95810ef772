import Synchronization

/// What the process is doing, in words for whoever watches it. One for the whole process, so that code far below a display can tell
/// it without being handed anything; nothing is printed here, and nothing follows from it.
package enum Activity {
  /// Long work that can say how it is getting on.
  package protocol Describing: AnyObject, Sendable {
    /// A line without an end, on one moment.
    func text(now: ContinuousClock.Instant) -> String
  }

  private static let shared = Locked<(any Describing)?>(nil)

  /// The innermost work that is under way.
  package static var current: (any Describing)? { shared.withLock { $0 } }

  /// Does work under a description; what was under way before is again afterwards.
  package static func during<R, E: Error>(_ description: any Describing, _ work: () throws(E) -> R) throws(E) -> R {
    let before = exchange(description)
    defer { _ = exchange(before) }
    return try work()
  }

  /// Does work of so many pieces, of which `advance` counts those that are done; of an unknown number where `total` is 0.
  package static func during<R, E: Error>(_ name: String, of total: Int = 0, _ work: () throws(E) -> R) throws(E) -> R {
    try during(WorkShare(name, total: total, began: ContinuousClock.now), work)
  }

  /// Pieces of the present work are done; by any thread.
  package static func advance(by count: Int) { (current as? WorkShare)?.advance(by: count) }

  private static func exchange(_ new: (any Describing)?) -> (any Describing)? {
    shared.withLock { current in
      defer { current = new }
      return current
    }
  }
}

/// Work that consists of equal pieces.
package final class WorkShare: Activity.Describing {
  private let name: String
  private let total: Int
  private let began: ContinuousClock.Instant
  private let done = Atomic<Int>(0)

  package init(_ name: String, total: Int, began: ContinuousClock.Instant) {
    (self.name, self.total, self.began) = (name, total, began)
  }

  package func advance(by count: Int) { done.wrappingAdd(count, ordering: .relaxed) }

  package func text(now: ContinuousClock.Instant) -> String {
    let seconds = (now - began) / .seconds(1)
    let done = done.load(ordering: .relaxed)
    guard total > 0, done > 0 else { return "\(name): \(DurationText.words(seconds)) so far" }
    let share = min(1, Double(done) / Double(total))
    // Of the very beginning nothing follows.
    let left = seconds < 1 || share < 0.01 ? "" : ", \(DurationText.words(seconds * (1 - share) / share)) left"
    return "\(name): \(Int(100 * share)) %\(left)"
  }
}

/// Lengths of time as people say them.
package enum DurationText {
  /// To about two figures: 7 s, 3 min 20 s, 2 h 5 min, 3 days 4 h.
  package static func words(_ seconds: Double) -> String {
    guard seconds.isFinite, seconds < 1e9 else { return "a long time" }
    let whole = Int(max(0, seconds).rounded())
    switch whole {
    case ..<100: return "\(whole) s"
    case ..<6000: return parts(whole, 60, "min", 1, "s", rounding: whole < 600 ? 10 : 60)
    case ..<172_800: return parts(whole, 3600, "h", 60, "min", rounding: whole < 36_000 ? 60 : 600)
    default: return parts(whole, 86_400, "days", 3600, "h", rounding: 3600)
    }
  }

  private static func parts(_ seconds: Int, _ large: Int, _ name: String, _ small: Int, _ other: String, rounding: Int) -> String {
    let rounded = (seconds + rounding / 2) / rounding * rounding
    let rest = rounded % large / small
    return "\(rounded / large) \(name)" + (rest > 0 ? " \(rest) \(other)" : "")
  }
}
