/// An item and what it scores.
public struct ScoredItem: Sendable, Equatable {
  /// Vocabulary id, from 1.
  public var item: Int32
  /// The higher, the better.
  public var score: Double

  /// An item with its score.
  public init(item: Int32, score: Double) {
    self.item = item
    self.score = score
  }
}

/// The k best of the candidates by descending score, ties by ascending id: one pass over the tiles with a bounded heap.
package struct TopK {
  /// The worst of the kept ones stands first.
  private var heap: [(score: Float, item: Int32)] = []
  private var limit = 1

  package init() {}

  /// Forgets everything; from here on keeps `k`.
  package mutating func begin(_ k: Int) {
    precondition(k > 0)
    heap.removeAll(keepingCapacity: true)
    limit = k
  }

  /// The next scores, of tokens above all that came before. They must be finite.
  package mutating func take(_ row: ScoreRow, excluding excluded: ExcludedTokens) {
    var token = row.tokens.lowerBound
    while heap.count < limit, token < row.tokens.upperBound {
      if !excluded.contains(token) {
        heap.append((row[token], Int32(token)))
        siftUp()
      }
      token += 1
    }
    guard heap.count == limit else { return }
    // From here an item must score above the worst that is kept: of equal scores the earlier item stays. Few do.
    while true {
      token = row.first(from: token, above: heap[0].score)
      if token == row.tokens.upperBound { return }
      if !excluded.contains(token) {
        heap[0] = (row[token], Int32(token))
        siftDown()
      }
      token += 1
    }
  }

  /// Another score, of an item that has not come before. It must be finite.
  package mutating func take(_ score: Float, _ item: Int32) {
    if heap.count < limit {
      heap.append((score, item))
      siftUp()
    } else if Self.isWorse(heap[0], (score, item)) {
      heap[0] = (score, item)
      siftDown()
    }
  }

  /// The best first; fewer than k where there were fewer. Ends the pass.
  package mutating func finish() -> [ScoredItem] {
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

/// What a rank has kept of its own tiles, on its way to the rank that wants the best of all.
extension TopK {
  /// Words of a list of `limit` items.
  static func words(limit: Int) -> Int { 1 + 2 * limit }

  func write(to words: inout WordWriter) {
    words.write(Int32(heap.count))
    for kept in heap {
      words.write(kept.item)
      words.write(kept.score)
    }
  }

  /// Takes what another one has kept of other tokens.
  mutating func take(_ words: inout WordReader) {
    for _ in 0..<words.read(Int32.self) {
      let item = words.read(Int32.self)
      take(words.read(Float.self), item)
    }
  }
}

/// The items by descending count, ties by ascending id.
package struct MostPopular: Sendable {
  private let counts: [Int64]
  private let order: [Int32]

  /// `itemCounts`: the count of item `i` at `i - 1`, in any order.
  package init(itemCounts: [Int64]) {
    counts = itemCounts
    let indices = itemCounts.indices.sorted { (a: Int, b: Int) -> Bool in
      itemCounts[a] != itemCounts[b] ? itemCounts[a] > itemCounts[b] : a < b
    }
    order = indices.map { Int32($0 + 1) }
  }

  /// The first `k` items that are not excluded; their score is their count.
  package func first(_ k: Int, excluding excluded: ItemMarks) -> [ScoredItem] {
    var result: [ScoredItem] = []
    for item in order where !excluded.contains(Int(item)) {
      if result.count == k { break }
      result.append(ScoredItem(item: item, score: Double(counts[Int(item) - 1])))
    }
    return result
  }

  /// The first `k` items.
  package func first(_ k: Int) -> [ScoredItem] { order.prefix(k).map(scored) }

  /// The first `k` of some items.
  package func first(_ k: Int, among items: CandidateItems) -> [ScoredItem] {
    let sorted = items.items.sorted { a, b in
      let (left, right) = (counts[Int(a) - 1], counts[Int(b) - 1])
      return left != right ? left > right : a < b
    }
    return sorted.prefix(k).map(scored)
  }

  private func scored(_ item: Int32) -> ScoredItem { ScoredItem(item: item, score: Double(counts[Int(item) - 1])) }
}
