import InteractionData

/// Ranks by item counts alone, through the same metrics: what a model has to beat. Counts are those of the data set,
/// over all interactions (the original's popularity), so the baseline even knows of each held-out item once.
struct PopularityBaseline {
  private let counts: [Int64]
  /// Items with a greater and with the same count, itself not included, at `item - 1`: found once by sorting, so that
  /// a user's full ranking costs the length of the history.
  private let greater: [Int32]
  private let equal: [Int32]
  private let mostPopular: MostPopular
  private var seen: ItemMarks

  init(itemCounts: [Int64]) {
    counts = itemCounts
    mostPopular = MostPopular(itemCounts: itemCounts)
    seen = ItemMarks(count: itemCounts.count + 1)
    let order = itemCounts.indices.sorted { itemCounts[$0] > itemCounts[$1] }
    var greater = [Int32](repeating: 0, count: order.count)
    var equal = greater
    var start = 0
    while start < order.count {
      var end = start + 1
      while end < order.count, itemCounts[order[end]] == itemCounts[order[start]] { end += 1 }
      for index in order[start..<end] {
        greater[index] = Int32(start)
        equal[index] = Int32(end - start - 1)
      }
      start = end
    }
    self.greater = greater
    self.equal = equal
  }

  /// The rank among all items that are not in the history, and the (up to) 10 most popular of these, best first.
  mutating func full(history: UnsafeBufferPointer<Int32>, label: Int32) -> (rank: Double, topItems: [Int32]) {
    let count = counts[Int(label) - 1]
    var (greater, equal) = (Int(greater[Int(label) - 1]), Int(equal[Int(label) - 1]))
    seen.removeAll()
    for item in history where item != label && seen.insert(Int(item)) {
      let other = counts[Int(item) - 1]
      if other > count { greater -= 1 }
      if other == count { equal -= 1 }
    }
    return (Metrics.rank(greater: greater, equal: equal), mostPopular.first(10, excluding: seen).map(\.item))
  }

  func sampled(label: Int32, negatives: ArraySlice<Int32>) -> Double {
    let count = counts[Int(label) - 1]
    var (greater, equal) = (0, 0)
    for item in negatives {
      let other = counts[Int(item) - 1]
      if other > count { greater += 1 }
      if other == count { equal += 1 }
    }
    return Metrics.rank(greater: greater, equal: equal)
  }
}
