import GradientSum
import ProbeRunner
import SystemSupport
import Testing

/// Sums of rows, alone and on real ranks.
@Suite(.serialized) struct RowReductionTests {
  private static let (rows, width) = (50, 7)

  /// Which rows a shard has: the probe's rule.
  private static func has(_ shard: Int, _ row: Int) -> Bool { (shard * 31 + row * 17) % 5 < 2 && shard % 7 != 3 }

  /// The definition, one element at a time, where a shard without the row is not there.
  private static func sum(_ shards: Range<Int>, _ row: Int, _ column: Int) -> Float? {
    if shards.count == 1 {
      return has(shards.lowerBound, row) ? OrderTest.value(stream: shards.lowerBound, element: row * width + column) : nil
    }
    var half = 1
    while half * 2 < shards.count { half *= 2 }
    let middle = shards.lowerBound + half
    guard let left = sum(shards.lowerBound..<middle, row, column) else { return sum(middle..<shards.upperBound, row, column) }
    return sum(middle..<shards.upperBound, row, column).map { left + $0 } ?? left
  }

  private static func hash(shardCount: Int) -> String {
    var bytes: [UInt8] = []
    for row in 0..<rows where sum(0..<shardCount, row, 0) != nil {
      withUnsafeBytes(of: Int32(row)) { bytes += $0 }
      for column in 0..<width { withUnsafeBytes(of: sum(0..<shardCount, row, column)) { bytes += $0.prefix(4) } }
    }
    return bytes.withUnsafeBytes { sha256Hex($0) }
  }

  /// Whoever gets the sums, and in however many rounds: in the smallest each has one row of a node or two.
  @Test(arguments: [1, 2, 3, 4, 5, 8], ["replicated", "sharded"]) func sameBitsOnAnyNumberOfRanks(ranks: Int, table: String) throws {
    let sizes = [16, 8, 13, 24]
    let expected = sizes.map { Substring("\($0) \(Self.hash(shardCount: $0))") }
    for round in ranks == 1 ? [1] : [1, 300, RowReduction.roundElements] {
      let result = try Probe.mpirun(
        ranks: ranks,
        ["reduce-rows", table, "\(ranks == 2 ? 3 : 1)", "\(Self.rows)", "\(Self.width)", "\(round)"] + sizes.map { "\($0)" })
      #expect(result.status == 0, "\(result.errors)")
      #expect(result.lines == expected, "rounds of \(round)")
    }
  }

  private func list(_ rows: [(id: Int32, value: Float)]) -> RowList {
    let list = RowList(width: 1)
    list.resize(rows.count)
    for (index, row) in rows.enumerated() { (list.ids[index], list.values[index]) = row }
    return list
  }

  @Test func sumsAndSearch() {
    let (left, right, sum) = (list([(1, 1), (4, 2), (9, 3)]), list([(0, 5), (4, 6)]), RowList(width: 1))
    for (a, b) in [(left, right), (right, left)] {
      sum.setSum(a, b)
      #expect((0..<sum.count).map { sum.ids[$0] } == [0, 1, 4, 9] && (0..<sum.count).map { sum.values[$0] } == [5, 1, 8, 3])
    }
    #expect([0, 1, 2, 9, 10].map { sum.firstIndex(from: $0) } == [0, 1, 2, 3, 4])
    sum.setSum(list([]), list([]))
    #expect(sum.count == 0 && sum.firstIndex(from: 3) == 0)
    for part in [list([(2, 1), (3, 4)]), list([]), list([(7, 5)])] { sum.append(part) }
    #expect((0..<sum.count).map { sum.ids[$0] } == [2, 3, 7] && (0..<sum.count).map { sum.values[$0] } == [1, 4, 5])
  }
}
