import SystemSupport

/// What `prepare` tells about a data set.
package struct DatasetStatistics: Sendable, Equatable, CustomStringConvertible {
  /// Quantiles of the users' numbers of interactions, interpolated linearly as NumPy's default does.
  package struct Lengths: Sendable, Equatable {
    package var minimum: Double
    package var quartile1: Double
    package var median: Double
    package var quartile3: Double
    package var percentile95: Double
    package var maximum: Double
  }

  /// What lies behind a split by time.
  package struct Split: Sendable, Equatable {
    /// The first moment that is no history.
    package var time: String
    package var interactions: Int
    package var users: Int
    /// Users who have targets and no history.
    package var usersWithoutHistory: Int
    /// Interactions with items that no history holds.
    package var unknownItems: Int

    init(time: String, targets: Dataset, histories: Dataset) {
      let (users, items) = (ItemIndex(histories.userIDs), ItemIndex(histories.itemIDs))
      self.time = time
      interactions = targets.sequences.interactionCount
      self.users = targets.sequences.userCount
      usersWithoutHistory = (0..<targets.userIDs.count).count { users.item(targets.userIDs[$0]) == nil }
      unknownItems = zip(0..<targets.itemCount, targets.itemCounts).reduce(0) { sum, item in
        items.item(targets.itemIDs[item.0]) == nil ? sum + Int(item.1) : sum
      }
    }
  }

  package var users: Int
  package var items: Int
  package var interactions: Int
  /// Interactions / (users x items).
  package var density: Double
  package var lengths: Lengths
  /// Users with fewer than 3 interactions: they only train.
  package var shortUsers: Int
  /// Users whose last two interactions have the same time, so that the order of the file decides which one is the
  /// test item; nil without a time column.
  package var usersEndingOnTie: Int?
  /// Rows whose user, item and time an earlier row has; nil without a time column.
  package var duplicates: Int?
  /// Interactions with an item that was in the user's history before; nil in folders of earlier programs.
  package var repeats: Int?
  /// Users of whom the last item, which the test holds out, is such a repeat: a recommender that leaves out the items of a
  /// user's history can never hit it.
  package var usersEndingOnRepeat: Int?
  /// Rows that were left out, by reason.
  package var droppedRows: [String: Int]
  /// Rows that filters left out, by filter.
  package var filteredRows: [String: Int]?
  /// All else is of what lies before; nil without a split.
  package var split: Split?

  package init(
    sequences: Sequences, itemCount: Int, usersEndingOnTie: Int? = nil, duplicates: Int? = nil,
    droppedRows: [String: Int] = [:], filteredRows: [String: Int] = [:]
  ) {
    users = sequences.userCount
    items = itemCount
    interactions = sequences.interactionCount
    density = users > 0 && items > 0 ? Double(interactions) / (Double(users) * Double(items)) : 0
    let sorted = (0..<sequences.userCount).map { sequences.length(of: $0) }.sorted()
    func quantile(_ share: Double) -> Double {
      guard let last = sorted.last else { return 0 }
      let place = share * Double(sorted.count - 1)
      let below = Int(place)
      guard below + 1 < sorted.count else { return Double(last) }
      return Double(sorted[below]) + (place - Double(below)) * Double(sorted[below + 1] - sorted[below])
    }
    lengths = Lengths(
      minimum: quantile(0), quartile1: quantile(0.25), median: quantile(0.5), quartile3: quantile(0.75),
      percentile95: quantile(0.95), maximum: quantile(1))
    shortUsers = sorted.count { $0 < LeaveOneOut.minimumLength }
    self.usersEndingOnTie = usersEndingOnTie
    self.duplicates = duplicates
    self.droppedRows = droppedRows
    self.filteredRows = filteredRows.isEmpty ? nil : filteredRows
    let repeats = Self.countRepeats(sequences, itemCount: itemCount)
    (self.repeats, usersEndingOnRepeat) = (repeats.interactions, repeats.heldOut)
  }

  /// Interactions with an item that was in the user's history before, and users whose last one, held out, is such a repeat.
  static func countRepeats(_ sequences: Sequences, itemCount: Int) -> (interactions: Int, heldOut: Int) {
    // The last user, counted from 1, who had an item.
    var owners = [Int32](repeating: 0, count: itemCount + 1)
    var (interactions, heldOut) = (0, 0)
    owners.withUnsafeMutableBufferPointer { owners in
      for user in 0..<sequences.userCount {
        let (items, number) = (sequences[user], Int32(truncatingIfNeeded: user + 1))
        var (repeats, isRepeat) = (0, 0)
        for item in items {
          isRepeat = owners[Int(item)] == number ? 1 : 0
          owners[Int(item)] = number
          repeats &+= isRepeat
        }
        interactions += repeats
        if items.count >= LeaveOneOut.minimumLength { heldOut += isRepeat }
      }
    }
    return (interactions, heldOut)
  }

  /// Several lines for people, without a line end after the last.
  package var description: String {
    func number(_ value: Double) -> String { DecimalText.short(value, upTo: 2) }
    let quantiles = [
      ("min", lengths.minimum), ("25 %", lengths.quartile1), ("median", lengths.median), ("75 %", lengths.quartile3),
      ("95 %", lengths.percentile95), ("max", lengths.maximum),
    ]
    var lines = [
      "users                     \(users)",
      "items                     \(items)",
      "interactions              \(interactions)",
      "density                   \(DecimalText.short(100 * density, upTo: 4)) %",
      "interactions per user     " + quantiles.map { "\($0.0) \(number($0.1))" }.joined(separator: ", "),
      "users with fewer than 3   \(shortUsers) (they only train)",
    ]
    if let usersEndingOnTie {
      lines.append(
        "users that end on a tie   \(usersEndingOnTie) (their last two times are equal; the order of the file decides)")
    }
    if let duplicates {
      lines.append("exact duplicates          \(duplicates) (same user, item and time; --drop-duplicates leaves them out)")
    }
    if let repeats, let usersEndingOnRepeat {
      lines.append(
        "repeats                   \(repeats) (items already in the user's history); the last item of \(usersEndingOnRepeat) users "
          + "is one")
    }
    lines.append("rows left out             \(Self.listed(droppedRows))")
    if let filteredRows { lines.append("rows filtered             \(Self.listed(filteredRows))") }
    if let split {
      lines.append("split at                  \(split.time): all figures above are of what is before it")
      lines.append(
        "targets                   \(split.interactions) interactions of \(split.users) users from then on; \(split.usersWithoutHistory) "
          + "of these users have no history, \(split.unknownItems) interactions are with items that are new")
    }
    return lines.joined(separator: "\n")
  }

  /// A total, then what it consists of.
  private static func listed(_ counts: [String: Int]) -> String {
    let sorted = counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
    let reasons = sorted.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
    return "\(sorted.reduce(0) { $0 + $1.value })" + (reasons.isEmpty ? "" : " (\(reasons))")
  }
}
