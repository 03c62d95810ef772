import InteractionData
import SystemSupport

/// The candidates of one sampled protocol for all users of a split, label not included.
package struct NegativeSamples: Sendable, Equatable {
  /// User `u` has `items[offsets[u] ..< offsets[u + 1]]`; nothing when the user has no held-out item.
  package internal(set) var offsets: [Int]  // (users + 1)
  package internal(set) var items: [Int32]
  /// Users with fewer than 100 items to draw from: they have all of these (`pop100`).
  package internal(set) var shortUserCount = 0
  /// Users for whom drawing was given up: the rest was filled in ascending order (`pop100`).
  package internal(set) var filledUserCount = 0
  /// Users who have rated everything: no candidate at all.
  package internal(set) var emptyUserCount = 0

  package subscript(user: Int) -> ArraySlice<Int32> { items[offsets[user]..<offsets[user + 1]] }
}

/// Draws the negatives of the sampled protocols, so that NumPy gives the same (Tests/Reference/numpy_draws.py holds
/// the same sampler in Python).
///
/// Items have ids 1 ... n in ascending order; users are taken by index, each once; one without a held-out item draws
/// nothing. Each protocol has a `RandomState(12345)` of its own, new at each evaluation, so the draws depend on the
/// data, the split and who is evaluated alone.
///
/// *Rated* are the held-out item and the history: everything that stands before it. For the test split that is the
/// whole sequence. For the validation split the test item, which comes later, is not rated: it stays a candidate,
/// since at that time nobody knows of it.
package struct NegativeSampler {
  package static let seed: UInt32 = 12345
  /// Rounds of 101 draws after which a `pop100` user's missing candidates are filled in ascending order of ids.
  /// Reached only where nearly all unrated items are so rare that drawing 100 distinct ones would take for ever.
  package static let maximumRounds = 1000

  /// Users for whom something was special.
  struct Exceptions: Equatable {
    /// With fewer than the wanted number of items to draw from: they have all of these (`pop100`).
    var shortUsers = 0
    /// For whom drawing was given up: the rest was filled in ascending order (`pop100`).
    var filledUsers = 0
    /// Who have rated everything: no candidate at all.
    var emptyUsers = 0
  }

  /// Candidates that a user gets.
  let count: Int
  private(set) var exceptions = Exceptions()
  private let itemCounts: [Int64]
  /// By popularity; nil for uniform draws.
  private let choice: WeightedChoice?
  private let isUniform: Bool
  private var state = NumPyRandomState(seed: Self.seed)
  private var indices: [Int] = []
  private var rated: ItemMarks
  private var ratedCount = 0
  private var ratedWithCount = 0

  /// Nil for `full`, which draws nothing. `itemCounts`: occurrences of item `i` in all interactions at `i - 1`.
  init?(_ evaluationProtocol: EvaluationProtocol, itemCounts: [Int64]) {
    guard let count = evaluationProtocol.negativeCount else { return nil }
    self.count = count
    self.itemCounts = itemCounts
    rated = ItemMarks(count: itemCounts.count + 1)
    isUniform = evaluationProtocol == .uniform100
    let sum = itemCounts.reduce(0, +)
    choice =
      isUniform || sum == 0 ? nil : WeightedChoice(probabilities: itemCounts.map { Double($0) / Double(sum) })
  }

  /// Bytes of what one sampled protocol draws for one split.
  package static func byteCount(userCount: Int, count: Int = 100) -> Int {
    userCount * count * MemoryLayout<Int32>.stride + (userCount + 1) * MemoryLayout<Int>.stride
  }

  /// For all users of a split; nil for `full`.
  package static func draw(
    _ evaluationProtocol: EvaluationProtocol, sequences: Sequences, itemCounts: [Int64], split heldOut: EvaluationSplit
  ) -> NegativeSamples? {
    guard var sampler = NegativeSampler(evaluationProtocol, itemCounts: itemCounts) else { return nil }
    let split = LeaveOneOut(sequences, holdout: .testAndValidation)
    var samples = NegativeSamples(offsets: [0], items: [])
    for user in 0..<sequences.userCount {
      if let (history, label) = split.heldOut(of: user, split: heldOut) {
        sampler.draw(history: history, label: label, into: &samples.items)
      }
      samples.offsets.append(samples.items.count)
    }
    samples.shortUserCount = sampler.exceptions.shortUsers
    samples.filledUserCount = sampler.exceptions.filledUsers
    samples.emptyUserCount = sampler.exceptions.emptyUsers
    return samples
  }

  /// Adds the next user's candidates to `items`.
  mutating func draw(history: UnsafeBufferPointer<Int32>, label: Int32, into items: inout [Int32]) {
    Liveness.tick()
    rated.removeAll()
    ratedCount = 0
    ratedWithCount = 0
    markRated(label)
    for item in history { markRated(item) }
    if isUniform { drawUniformly(into: &items) } else { drawByPopularity(into: &items) }
  }

  /// `pop100`: `choice(n, 101, replace=False, p=count / sum)`, those rated or drawn before dropped, again until there
  /// are 100; the surplus is cut. Where fewer than 100 unrated items have a count, all of these, without drawing.
  private mutating func drawByPopularity(into items: inout [Int32]) {
    guard let choice else { return }
    let start = items.count
    let available = choice.drawableCount - ratedWithCount
    if available < count {
      appendUnrated(until: start + available, to: &items)
      exceptions.shortUsers += 1
      if available == 0 { exceptions.emptyUsers += 1 }
      return
    }
    let drawnAtOnce = min(count + 1, choice.drawableCount)
    var rounds = 0
    while items.count < start + count, rounds < Self.maximumRounds {
      choice.draw(drawnAtOnce, from: &state, into: &indices)
      for index in indices where items.count < start + count && rated.insert(index + 1) {
        items.append(Int32(index + 1))
      }
      rounds += 1
    }
    if items.count < start + count {
      appendUnrated(until: start + count, to: &items)
      exceptions.filledUsers += 1
    }
  }

  /// `uniform100`: `randint(1, n + 1)` one by one, each again while it is rated; the same item may be drawn twice, as
  /// in the original. Who has rated everything has no candidate and draws nothing.
  private mutating func drawUniformly(into items: inout [Int32]) {
    if ratedCount == itemCounts.count {
      exceptions.emptyUsers += 1
      return
    }
    for _ in 0..<count {
      var item: Int
      repeat { item = state.randomInteger(from: 1, to: itemCounts.count + 1) } while rated.contains(item)
      items.append(Int32(item))
    }
  }

  private mutating func markRated(_ item: Int32) {
    guard rated.insert(Int(item)) else { return }
    ratedCount += 1
    if itemCounts[Int(item) - 1] > 0 { ratedWithCount += 1 }
  }

  private mutating func appendUnrated(until end: Int, to items: inout [Int32]) {
    for item in 1...itemCounts.count where items.count < end && itemCounts[item - 1] > 0 && rated.insert(item) {
      items.append(Int32(item))
    }
  }
}
