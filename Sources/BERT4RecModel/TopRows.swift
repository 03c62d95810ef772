/// The `capacity` largest of some scores, of equal ones those with the lower numbers, for each of several lists.
///
/// A heap per list, whose root is what leaves next. Which numbers stay depends on the scores alone, not on the order in which they come;
/// `sort` puts them into an order that does not either.
package struct TopRows {
  private let scores: UnsafeMutablePointer<Float>  // (lists, capacity)
  private let numbers: UnsafeMutablePointer<Int32>  // (lists, capacity)
  private let counts: UnsafeMutablePointer<Int32>  // (lists)
  private let lists: Int
  private let capacity: Int
  /// Of each list.
  private var limit = 0

  package init(_ workspace: Workspace, lists: Int, capacity: Int) {
    scores = workspace.floats(lists * capacity)
    numbers = workspace.indices(lists * capacity)
    counts = workspace.indices(lists)
    self.lists = lists
    self.capacity = capacity
  }

  /// Empties all lists, which are then to take up to `limit`.
  package mutating func begin(limit: Int) {
    precondition(limit <= capacity)
    self.limit = limit
    counts.update(repeating: 0, count: lists)
  }

  /// The numbers of a list.
  package func list(_ index: Int) -> UnsafeBufferPointer<Int32> {
    UnsafeBufferPointer(start: numbers + index * capacity, count: Int(counts[index]))
  }

  /// Their scores.
  package func scores(_ index: Int) -> UnsafeBufferPointer<Float> {
    UnsafeBufferPointer(start: scores + index * capacity, count: Int(counts[index]))
  }

  /// Takes numbers `first ..< first + scores.columns` into all lists, a row of scores for each, plus weights (lists) * bias (columns).
  package func take(_ block: Matrix, first: Int, weights: UnsafePointer<Float>, bias: UnsafePointer<Float>?) {
    for list in 0..<block.rows {
      let (values, weight, lowest) = (block.base + list * block.stride, weights[list], scores + list * capacity)
      var isFull = Int(counts[list]) == limit
      for column in 0..<block.columns {
        var score = values[column]
        if let bias { score += weight * bias[column] }
        // Nearly all of a large table.
        if isFull && score < lowest[0] { continue }
        take(Int32(first + column), score, into: list)
        isFull = Int(counts[list]) == limit
      }
    }
  }

  /// Takes a number into a list, which does not have it.
  @inline(__always)
  package func take(_ number: Int32, _ score: Float, into list: Int) {
    let (scores, numbers, held) = (scores + list * capacity, numbers + list * capacity, Int(counts[list]))
    if held < limit {
      (scores[held], numbers[held]) = (score, number)
      counts[list] = Int32(held + 1)
      if held + 1 == limit {
        for root in stride(from: limit / 2 - 1, through: 0, by: -1) { sift(scores, numbers, root, limit, by: Self.leavesFirst) }
      }
    } else if score > scores[0] || (score == scores[0] && number < numbers[0]) {
      (scores[0], numbers[0]) = (score, number)
      sift(scores, numbers, 0, limit, by: Self.leavesFirst)
    }
  }

  /// Puts the numbers of a list into ascending order, in place. It takes no more until `begin`.
  package func sort(_ list: Int) {
    let (scores, numbers, count) = (scores + list * capacity, numbers + list * capacity, Int(counts[list]))
    func isGreater(_ a: (score: Float, number: Int32), _ b: (score: Float, number: Int32)) -> Bool { a.number > b.number }
    for root in stride(from: count / 2 - 1, through: 0, by: -1) { sift(scores, numbers, root, count, by: isGreater) }
    for last in stride(from: count - 1, to: 0, by: -1) {
      (scores[0], scores[last]) = (scores[last], scores[0])
      (numbers[0], numbers[last]) = (numbers[last], numbers[0])
      sift(scores, numbers, 0, last, by: isGreater)
    }
  }

  private static func leavesFirst(_ a: (score: Float, number: Int32), _ b: (score: Float, number: Int32)) -> Bool {
    a.score < b.score || (a.score == b.score && a.number > b.number)
  }

  /// Lets the element at `start` sink until no child comes before it.
  @inline(__always)
  private func sift(
    _ scores: UnsafeMutablePointer<Float>, _ numbers: UnsafeMutablePointer<Int32>, _ start: Int, _ count: Int,
    by comesFirst: ((score: Float, number: Int32), (score: Float, number: Int32)) -> Bool
  ) {
    var root = start
    while 2 * root + 1 < count {
      var child = 2 * root + 1
      if child + 1 < count && comesFirst((scores[child + 1], numbers[child + 1]), (scores[child], numbers[child])) { child += 1 }
      if !comesFirst((scores[child], numbers[child]), (scores[root], numbers[root])) { return }
      (scores[root], scores[child]) = (scores[child], scores[root])
      (numbers[root], numbers[child]) = (numbers[child], numbers[root])
      root = child
    }
  }
}
