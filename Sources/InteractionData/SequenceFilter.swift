/// Leaves out interactions of users' histories, and counts them.
struct SequenceFilter {
  private let grouped: GroupedItems
  private let itemCount: Int
  /// Interactions that were left out, by filter.
  private(set) var counts: [String: Int] = [:]

  init(_ grouped: GroupedItems, itemCount: Int) { (self.grouped, self.itemCount) = (grouped, itemCount) }

  /// Duplicates first, then repeats, then each user's last ones; then users and items with too few, until none is left.
  /// Where an item that has gone stood between two of another, those are neighbours now and collapse too.
  mutating func apply(_ filters: InteractionFilters) {
    if filters.dropsDuplicates {
      var isDuplicate = [Bool](repeating: false, count: grouped.values.count)
      grouped.forEachDuplicate { isDuplicate[$0] = true }
      keep(InteractionFilters.duplicateName) { !isDuplicate[$0] }
    }
    if filters.collapsesRepeats { collapse() }
    if let last = filters.last { keepLast(last) }
    while dropFew(filters), filters.collapsesRepeats, collapse() {}
  }

  @discardableResult
  private mutating func keep(_ name: String, _ kept: (Int) -> Bool) -> Bool {
    let before = grouped.values.count
    grouped.keep(kept)
    let gone = before - grouped.values.count
    if gone > 0 { counts[name, default: 0] += gone }
    return gone > 0
  }

  private func forEachUser(_ body: (Range<Int>) -> Void) {
    for user in 0..<(grouped.offsets.count - 1) { body(Int(grouped.offsets[user])..<Int(grouped.offsets[user + 1])) }
  }

  @discardableResult
  private mutating func collapse() -> Bool {
    var isRepeat = [Bool](repeating: false, count: grouped.values.count)
    forEachUser { rows in
      for row in rows.dropFirst() where grouped.values[row] == grouped.values[row - 1] { isRepeat[row] = true }
    }
    return keep(InteractionFilters.repeatName) { !isRepeat[$0] }
  }

  private mutating func keepLast(_ count: Int) {
    var isKept = [Bool](repeating: false, count: grouped.values.count)
    forEachUser { rows in
      for row in rows.suffix(count) { isKept[row] = true }
    }
    keep(InteractionFilters.lastName) { isKept[$0] }
  }

  /// Whether anything went.
  private mutating func dropFew(_ filters: InteractionFilters) -> Bool {
    var hasChanged = false
    while true {
      var isKept = [Bool](repeating: false, count: grouped.values.count)
      forEachUser { rows in
        if rows.count >= filters.minimumUserCount { for row in rows { isKept[row] = true } }
      }
      let usersWent = keep(InteractionFilters.userName) { isKept[$0] }
      var frequencies = [Int](repeating: 0, count: itemCount)
      for item in grouped.values { frequencies[Int(item)] += 1 }
      let values = grouped.values
      // Rows move to the front only behind the one that is looked at.
      let itemsWent = keep(InteractionFilters.itemName) { frequencies[Int(values[$0])] >= filters.minimumItemCount }
      hasChanged = hasChanged || usersWent || itemsWent
      if !usersWent && !itemsWent { return hasChanged }
    }
  }
}
