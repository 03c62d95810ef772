/// The `capacity` largest of some scores, of equal ones those with the lower numbers, for each of several lists.
///
/// A heap per list, whose root is what leaves next. Its order depends on the scores alone.
package struct TopRows {
  private let scores: UnsafeMutablePointer<Float>  // (lists, capacity)
  private let numbers: UnsafeMutablePointer<Int32>  // (lists, capacity)
  private let capacity: Int
  /// Of each list.
  private var limit = 0
  private var count = 0

  package init(_ workspace: Workspace, lists: Int, capacity: Int) {
    scores = workspace.floats(lists * capacity)
    numbers = workspace.indices(lists * capacity)
    self.capacity = capacity
  }

  /// Empties all lists, which are then to take up to `limit`.
  package mutating func begin(limit: Int) {
    precondition(limit <= capacity)
    self.limit = limit
    count = 0
  }

  /// The numbers of a list.
  package func list(_ index: Int) -> UnsafeBufferPointer<Int32> {
    UnsafeBufferPointer(start: numbers + index * capacity, count: count)
  }

  /// Takes numbers `first ..< first + scores.columns` into all lists, a row of scores for each, plus weights (lists) * bias (columns).
  package mutating func take(
    _ block: Matrix, first: Int, weights: UnsafePointer<Float>, bias: UnsafePointer<Float>?
  ) {
    for list in 0..<block.rows {
      let (values, weight) = (block.base + list * block.stride, weights[list])
      let (scores, numbers) = (scores + list * capacity, numbers + list * capacity)
      var held = count
      for column in 0..<block.columns {
        var score = values[column]
        if let bias { score += weight * bias[column] }
        if held < limit {
          held += 1
          scores[held - 1] = score
          numbers[held - 1] = Int32(first + column)
          if held == limit { for root in stride(from: held / 2 - 1, through: 0, by: -1) { sift(scores, numbers, root, held) } }
        } else if score > scores[0] {
          scores[0] = score
          numbers[0] = Int32(first + column)
          sift(scores, numbers, 0, held)
        }
      }
    }
    count = min(limit, count + block.columns)
  }

  /// Lets the element at `start` sink until no child leaves before it.
  private func sift(
    _ scores: UnsafeMutablePointer<Float>, _ numbers: UnsafeMutablePointer<Int32>, _ start: Int, _ count: Int
  ) {
    func leavesFirst(_ a: Int, _ b: Int) -> Bool {
      scores[a] < scores[b] || (scores[a] == scores[b] && numbers[a] > numbers[b])
    }
    var root = start
    while 2 * root + 1 < count {
      var child = 2 * root + 1
      if child + 1 < count && leavesFirst(child + 1, child) { child += 1 }
      if !leavesFirst(child, root) { return }
      (scores[root], scores[child]) = (scores[child], scores[root])
      (numbers[root], numbers[child]) = (numbers[child], numbers[root])
      root = child
    }
  }
}
