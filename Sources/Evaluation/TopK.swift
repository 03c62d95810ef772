/// An item and what it scores.
public struct ScoredItem: Sendable, Equatable {
  /// Vocabulary id, from 1.
  public var item: Int32
  public var score: Double

  public init(item: Int32, score: Double) {
    self.item = item
    self.score = score
  }
}

/// The k best items of a catalogue by descending score, ties by ascending id: one pass with a bounded heap.
public struct TopK {
  /// The worst of the kept ones stands first.
  private var heap: [(score: Float, item: Int32)] = []

  public init() {}

  /// Fewer than `k` when fewer are left. `scores` are those of all tokens (V); only items 1 ... `itemCount` are
  /// considered, and of these none in `excluded`. Scores must be finite.
  public mutating func select(
    _ k: Int, scores: UnsafeBufferPointer<Float>, itemCount: Int, excluding excluded: ItemMarks
  ) -> [ScoredItem] {
    precondition(k > 0 && itemCount < scores.count)
    heap.removeAll(keepingCapacity: true)
    var item = 1
    while heap.count < k, item <= itemCount {
      if !excluded.contains(item) {
        heap.append((scores[item], Int32(item)))
        siftUp()
      }
      item += 1
    }
    // From here an item must score above the worst that is kept: of equal scores the earlier item stays. Few do, so
    // eight are looked at together.
    let bytes = UnsafeRawBufferPointer(scores)
    while item <= itemCount {
      let end = min(item + 8, itemCount + 1)
      if end - item == 8 {
        let values = bytes.loadUnaligned(fromByteOffset: item * 4, as: SIMD8<Float>.self)
        if !any(values .> heap[0].score) {
          item = end
          continue
        }
      }
      while item < end {
        if scores[item] > heap[0].score, !excluded.contains(item) {
          heap[0] = (scores[item], Int32(item))
          siftDown()
        }
        item += 1
      }
    }
    heap.sort { Self.isWorse($1, $0) }
    return heap.map { ScoredItem(item: $0.item, score: Double($0.score)) }
  }

  private static func isWorse(_ a: (score: Float, item: Int32), _ b: (score: Float, item: Int32)) -> Bool {
    a.score != b.score ? a.score < b.score : a.item > b.item
  }

  private mutating func siftUp() {
    var place = heap.count - 1
    while place > 0, Self.isWorse(heap[place], heap[(place - 1) / 2]) {
      heap.swapAt(place, (place - 1) / 2)
      place = (place - 1) / 2
    }
  }

  private mutating func siftDown() {
    var place = 0
    while 2 * place + 1 < heap.count {
      var child = 2 * place + 1
      if child + 1 < heap.count, Self.isWorse(heap[child + 1], heap[child]) { child += 1 }
      guard Self.isWorse(heap[child], heap[place]) else { return }
      heap.swapAt(place, child)
      place = child
    }
  }
}

/// The items by descending count, ties by ascending id.
public struct MostPopular: Sendable {
  private let counts: [Int64]
  private let order: [Int32]

  /// `itemCounts`: the count of item `i` at `i - 1`, in any order.
  public init(itemCounts: [Int64]) {
    counts = itemCounts
    let indices = itemCounts.indices.sorted { (a: Int, b: Int) -> Bool in
      itemCounts[a] != itemCounts[b] ? itemCounts[a] > itemCounts[b] : a < b
    }
    order = indices.map { Int32($0 + 1) }
  }

  /// The first `k` items that are not excluded; their score is their count.
  public func first(_ k: Int, excluding excluded: ItemMarks) -> [ScoredItem] {
    var result: [ScoredItem] = []
    for item in order where !excluded.contains(Int(item)) {
      if result.count == k { break }
      result.append(ScoredItem(item: item, score: Double(counts[Int(item) - 1])))
    }
    return result
  }
}
