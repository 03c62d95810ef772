import GradientSum
import SystemSupport

/// The tree's definition, word for word, one element at a time: the plain twin of accumulators, merges and reductions.
enum PlainTree {
  static func sum(_ shards: Range<Int>, _ value: (Int) -> Float) -> Float {
    if shards.count == 1 { return value(shards.lowerBound) }
    var half = 1
    while half * 2 < shards.count { half *= 2 }
    let middle = shards.lowerBound + half
    return sum(shards.lowerBound..<middle, value) + sum(middle..<shards.upperBound, value)
  }

  /// The sum of G shards of order-sensitive numbers.
  static func sum(shardCount: Int, length: Int) -> [Float] {
    (0..<length).map { element in sum(0..<shardCount) { OrderTest.value(stream: $0, element: element) } }
  }

  static func hash(shardCount: Int, length: Int) -> String {
    sum(shardCount: shardCount, length: length).withUnsafeBytes { sha256Hex($0) }
  }
}
