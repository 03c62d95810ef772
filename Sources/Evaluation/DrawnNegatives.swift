/// The negatives of one sampled protocol for the blocks that a rank scores: `rank`, `rank + ranks`, ...
struct DrawnNegatives {
  private let ranks: Int
  /// Where the users of this rank's blocks begin, each block 64 places long.
  private var offsets: [Int] = [0]
  private var items: [Int32] = []

  /// For so many blocks of all ranks, of users that draw `count` each.
  init(blockCount: Int, ranks: Int, count: Int) {
    self.ranks = ranks
    // Exactly what is needed: an array that grows takes up to twice as much, and three times while it does.
    let places = (blockCount + ranks - 1) / ranks * EvaluationBlock.size
    offsets.reserveCapacity(places + 1)
    items.reserveCapacity(places * count)
  }

  /// Those of the user at a place of a block of this rank.
  subscript(block block: Int, place place: Int) -> ArraySlice<Int32> {
    let slot = block / ranks * EvaluationBlock.size + place
    return items[offsets[slot]..<offsets[slot + 1]]
  }

  /// Takes the next block, encoded.
  mutating func append(_ block: ArraySlice<Int32>) {
    let counts = block.prefix(EvaluationBlock.size)
    for count in counts { offsets.append(offsets[offsets.count - 1] + Int(count)) }
    items.append(contentsOf: block.dropFirst(EvaluationBlock.size))
  }

  /// Takes blocks that stand one after the other.
  mutating func append(blocks: [Int32]) {
    var rest = blocks[...]
    while !rest.isEmpty {
      let length = EvaluationBlock.size + rest.prefix(EvaluationBlock.size).reduce(0) { $0 + Int($1) }
      append(rest.prefix(length))
      rest = rest.dropFirst(length)
    }
  }

  /// A block as ranks send it: how many negatives each of its 64 places has, then all of these.
  static func encode(counts: [Int], items: [Int32], to message: inout [Int32]) {
    message += (0..<EvaluationBlock.size).map { $0 < counts.count ? Int32(counts[$0]) : 0 }
    message += items
  }
}
