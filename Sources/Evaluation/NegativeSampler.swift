import InteractionData

/// The candidates of one sampled protocol for all users of a split, label not included.
public struct NegativeSamples: Sendable, Equatable {
  /// User `u` has `items[offsets[u] ..< offsets[u + 1]]`; nothing when the user has no held-out item.
  public internal(set) var offsets: [Int]  // (users + 1)
  public internal(set) var items: [Int32]
  /// Users with fewer than 100 items to draw from: they have all of these (`pop100`).
  public internal(set) var shortUserCount = 0
  /// Users for whom drawing was given up: the rest was filled in ascending order (`pop100`).
  public internal(set) var filledUserCount = 0
  /// Users who have rated everything: no candidate at all.
  public internal(set) var emptyUserCount = 0

  public subscript(user: Int) -> ArraySlice<Int32> { items[offsets[user]..<offsets[user + 1]] }
}

/// Draws the negatives of the sampled protocols, so that NumPy gives the same (Tests/Reference/numpy_draws.py holds
/// the same sampler in Python).
///
/// Items have ids 1 ... n in ascending order; users are taken by index; one without a held-out item draws nothing.
/// Each protocol has a `RandomState(12345)` of its own, new at each evaluation, so the draws depend on the data and
/// the split alone.
///
/// *Rated* are the held-out item and the history: everything that stands before it. For the test split that is the
/// whole sequence. For the validation split the test item, which comes later, is not rated: it stays a candidate,
/// since at that time nobody knows of it.
public struct NegativeSampler {
  public static let seed: UInt32 = 12345
  /// Rounds of 101 draws after which a `pop100` user's missing candidates are filled in ascending order of ids.
  /// Reached only where nearly all unrated items are so rare that drawing 100 distinct ones would take for ever.
  public static let maximumRounds = 1000

  private let split: LeaveOneOut
  private let heldOut: EvaluationSplit
  private let itemCounts: [Int64]
  private var rated: ItemMarks
  private var ratedCount = 0
  private var ratedWithCount = 0

  /// `itemCounts`: occurrences of item `i` in all interactions at `i - 1`.
  public init(sequences: Sequences, itemCounts: [Int64], split: EvaluationSplit) {
    self.split = LeaveOneOut(sequences, holdout: .testAndValidation)
    self.heldOut = split
    self.itemCounts = itemCounts
    rated = ItemMarks(count: itemCounts.count + 1)
  }

  /// Bytes of what one sampled protocol draws for one split.
  package static func byteCount(userCount: Int, count: Int = 100) -> Int {
    userCount * count * MemoryLayout<Int32>.stride + (userCount + 1) * MemoryLayout<Int>.stride
  }

  /// Nil for `full`, which draws nothing.
  public static func draw(
    _ evaluationProtocol: EvaluationProtocol, sequences: Sequences, itemCounts: [Int64], split: EvaluationSplit
  ) -> NegativeSamples? {
    var sampler = NegativeSampler(sequences: sequences, itemCounts: itemCounts, split: split)
    return switch evaluationProtocol {
    case .full: nil
    case .pop100: sampler.drawByPopularity()
    case .uniform100: sampler.drawUniformly()
    }
  }

  /// `pop100`: `choice(n, 101, replace=False, p=count / sum)`, those rated or drawn before dropped, again until there
  /// are 100; the surplus is cut. Where fewer than 100 unrated items have a count, all of these, without drawing.
  public mutating func drawByPopularity(count: Int = 100) -> NegativeSamples {
    var samples = emptySamples(count)
    let sum = itemCounts.reduce(0, +)
    guard sum > 0 else { return withoutDraws(samples) }
    let choice = WeightedChoice(probabilities: itemCounts.map { Double($0) / Double(sum) })
    let drawnAtOnce = min(count + 1, choice.drawableCount)
    var state = NumPyRandomState(seed: Self.seed)
    var indices: [Int] = []
    for user in 0..<split.sequences.userCount {
      if markRated(of: user) {
        let available = choice.drawableCount - ratedWithCount
        let start = samples.items.count
        if available < count {
          appendUnrated(until: start + available, to: &samples.items)
          samples.shortUserCount += 1
          if available == 0 { samples.emptyUserCount += 1 }
        } else {
          var rounds = 0
          while samples.items.count < start + count, rounds < Self.maximumRounds {
            choice.draw(drawnAtOnce, from: &state, into: &indices)
            for index in indices where samples.items.count < start + count && rated.insert(index + 1) {
              samples.items.append(Int32(index + 1))
            }
            rounds += 1
          }
          if samples.items.count < start + count {
            appendUnrated(until: start + count, to: &samples.items)
            samples.filledUserCount += 1
          }
        }
      }
      samples.offsets.append(samples.items.count)
    }
    return samples
  }

  /// `uniform100`: `randint(1, n + 1)` one by one, each again while it is rated; the same item may be drawn twice, as
  /// in the original. Who has rated everything has no candidate and draws nothing.
  public mutating func drawUniformly(count: Int = 100) -> NegativeSamples {
    var samples = emptySamples(count)
    var state = NumPyRandomState(seed: Self.seed)
    for user in 0..<split.sequences.userCount {
      if markRated(of: user) {
        if ratedCount == itemCounts.count {
          samples.emptyUserCount += 1
        } else {
          for _ in 0..<count {
            var item: Int
            repeat { item = state.randomInteger(from: 1, to: itemCounts.count + 1) } while rated.contains(item)
            samples.items.append(Int32(item))
          }
        }
      }
      samples.offsets.append(samples.items.count)
    }
    return samples
  }

  private func emptySamples(_ count: Int) -> NegativeSamples {
    var samples = NegativeSamples(offsets: [0], items: [])
    samples.offsets.reserveCapacity(split.sequences.userCount + 1)
    samples.items.reserveCapacity(split.sequences.userCount * count)
    return samples
  }

  private func withoutDraws(_ samples: NegativeSamples) -> NegativeSamples {
    var samples = samples
    samples.offsets = [Int](repeating: 0, count: split.sequences.userCount + 1)
    return samples
  }

  /// False when the user has no held-out item.
  private mutating func markRated(of user: Int) -> Bool {
    guard let (history, label) = split.heldOut(of: user, split: heldOut) else { return false }
    rated.removeAll()
    ratedCount = 0
    ratedWithCount = 0
    markRated(label)
    for item in history { markRated(item) }
    return true
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
