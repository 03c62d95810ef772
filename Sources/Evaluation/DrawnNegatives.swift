import Communication
import SystemSupport

/// What was drawn for the users of one block.
struct DrawnBlock {
  /// How many negatives each user has; all of these, one user after the other.
  var counts: [Int] = []
  var items: [Int32] = []
}

extension DrawnBlock: Communicable {
  func write(to message: inout MessageWriter) {
    message.write(counts)
    message.write(items)
  }

  init(from message: inout MessageReader) throws(ProgramFailure) {
    counts = try message.read()
    items = try message.read()
  }
}

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

  /// Takes the next block.
  mutating func append(_ block: DrawnBlock) {
    for place in 0..<EvaluationBlock.size {
      offsets.append(offsets[offsets.count - 1] + (place < block.counts.count ? block.counts[place] : 0))
    }
    items += block.items
  }
}
