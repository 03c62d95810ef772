import ProbeRunner
import SystemSupport
import TableSharding
import Testing

@Suite struct RowOwnershipTests {
  /// Each row has one owner, and a rank's rows are those of its blocks.
  @Test(
    arguments: [(1, 1), (4096, 3), (4097, 2), (40_000, 3), (40_000, 16)],
    [RowOwnership.Arrangement.dealt, .neighbouring(blockRows: 480)])
  func eachRowHasOneOwner(_ shape: (rows: Int, size: Int), _ arrangement: RowOwnership.Arrangement) {
    let (rows, size) = shape
    let ownership = RowOwnership(rowCount: rows, size: size, arrangement)
    var owners = [Int?](repeating: nil, count: rows)
    for rank in 0..<size {
      for block in ownership.blocks(of: rank) {
        for row in ownership.rows(ofBlock: block) {
          #expect(owners[row] == nil && ownership.owner(ofRow: row) == rank)
          owners[row] = rank
        }
      }
      #expect(owners.count { $0 == rank } == ownership.rowCount(of: rank))
    }
    #expect(owners.allSatisfy { $0 != nil })
  }

  /// A rank's rows are behind those of the ranks before it, and no rank has two blocks more than another.
  @Test(arguments: [(1, 1), (479, 2), (481, 2), (54_546, 8), (1_440, 4)]) func neighbours(rows: Int, size: Int) {
    let ownership = RowOwnership(rowCount: rows, size: size, .neighbouring(blockRows: 480))
    var end = 0
    for rank in 0..<size {
      let own = ownership.neighbouringRows(of: rank)
      #expect(own.lowerBound == end && own.count == ownership.rowCount(of: rank))
      end = own.upperBound
    }
    #expect(end == rows)
    let counts = (0..<size).map { rank in ownership.blocks(of: rank).reduce(0) { count, _ in count + 1 } }
    #expect((counts.max() ?? 0) - (counts.min() ?? 0) <= 1)
  }
}

@Suite struct RowSetTests {
  @Test func listsWhatIsInItOnceAndAscending() {
    let (set, other) = (RowSet(rowCount: 20_000), RowSet(rowCount: 20_000))
    for row: Int32 in [19_999, 4096, 3, 4095, 3, 12_288] { set.insert(row) }
    for row: Int32 in [3, 64, 63] { other.insert(row) }
    set.move(to: other)
    let list = GrowingBuffer<Int32>(for: "a test")
    #expect(set.move(to: list).isEmpty)
    #expect(Array(other.move(to: list)) == [3, 63, 64, 4095, 4096, 12_288, 19_999])
    #expect(other.move(to: list).isEmpty)
  }
}

@Suite struct ForeignPagesTests {
  /// Own blocks keep what they have; other rows are zeros again once the budget is exceeded, and not before.
  @Test(arguments: [0, 1, 2]) func whatIsNotOwnIsGivenBack(rank: Int) throws {
    let (rows, hidden) = (5 * 4096 + 100, 3)
    let ownership = RowOwnership(rowCount: rows, size: 3)
    let biases = (rows * hidden + 77) * 4
    let memory = try AlignedMemory(reserving: biases + rows * 4, for: "a test")
    let numbers = memory.elements(Float.self)
    numbers.update(repeating: 1)
    let pages = ForeignPages(memory, ownership, rank: rank, hidden: hidden, biases: biases, budget: 4 * 4096)
    func expect(_ rows: [Int32]) { rows.withUnsafeBufferPointer { pages.expect($0) } }
    expect([0, 5000, 9000, 13_000, 17_000])
    #expect(numbers.allSatisfy { $0 == 1 })
    expect((0..<Int32(rows)).map { $0 })
    expect([0])
    for row in 0..<rows where ownership.owner(ofRow: row) == rank {
      for element in [row * hidden, row * hidden + hidden - 1, biases / 4 + row] { #expect(numbers[element] == 1) }
    }
    // What stands between the table and its biases.
    for element in rows * hidden..<biases / 4 { #expect(numbers[element] == 1) }
    let foreign = (0..<rows).filter { ownership.owner(ofRow: $0) != rank }
    let zeros = foreign.count { numbers[$0 * hidden] == 0 }
    #expect(zeros > foreign.count * 9 / 10)
  }

  /// Neighbouring rows, which begin and end within pages: they stay, and so do rows that are spared until they no longer are.
  @Test(arguments: [0, 1, 2]) func neighboursAndSparedRowsStay(rank: Int) throws {
    let (rows, hidden) = (20 * 480 + 100, 3)
    let ownership = RowOwnership(rowCount: rows, size: 3, .neighbouring(blockRows: 480))
    let memory = try AlignedMemory(reserving: rows * (hidden + 1) * 4, for: "a test")
    let numbers = memory.elements(Float.self)
    numbers.update(repeating: 1)
    let pages = ForeignPages(memory, ownership, rank: rank, hidden: hidden, biases: rows * hidden * 4)
    let spared = [0..<700, 4000..<6200, 9000..<rows]
    func hold(_ kept: Range<Int>) -> Bool {
      kept.allSatisfy { numbers[$0 * hidden] == 1 && numbers[$0 * hidden + hidden - 1] == 1 && numbers[rows * hidden + $0] == 1 }
    }
    func zeros() -> Int { (0..<rows).count { numbers[$0 * hidden] == 0 } }
    pages.spare(spared)
    pages.giveBack()
    #expect(hold(ownership.neighbouringRows(of: rank)) && spared.allSatisfy(hold))
    let before = zeros()
    pages.spare([])
    #expect(hold(ownership.neighbouringRows(of: rank)) && zeros() > before + 900)
  }
}

/// Rows from rank to rank, on real ranks.
@Suite(.serialized) struct RowFetchTests {
  @Test(arguments: [(1, 1 << 20), (2, 1 << 20), (2, 997), (3, 50_000), (5, 5000), (8, 1)])
  func eachRankGetsWhatItWants(ranks: Int, roundElements: Int) throws {
    // The last with few rows: a round is one row.
    let rows = roundElements == 1 ? 300 : 40_000
    let result = try Probe.mpirun(ranks: ranks, ["fetch-rows", "\(rows)", "3", "\(roundElements)"])
    #expect(result.status == 0, "\(result.errors)")
    #expect(result.lines.count == ranks)
    for line in result.lines { #expect(line.hasPrefix("right right ")) }
    if ranks > 1 { #expect(result.lines[0] == "right right sent") }
  }
}

/// Blocks of a table to rank 0 and back, on real ranks.
@Suite(.serialized) struct TableTransferTests {
  /// In one stretch per part, in one per block, and in something between; a rank may have no block.
  @Test(arguments: [("dealt", 1), ("dealt", 30_000), ("neighbouring", 1), ("neighbouring", 30_000), ("dealt", 1 << 22)], [1, 2, 3, 8])
  func stretchesOfAnySize(_ arrangementAndRound: (String, Int), ranks: Int) throws {
    let (arrangement, roundElements) = arrangementAndRound
    let (rows, hidden, blockRows) = (17_000, 3, arrangement == "dealt" ? RowOwnership.blockRows : 480)
    let blocks = (rows + blockRows - 1) / blockRows
    func stretches(_ width: Int) -> Int {
      let ofStretch = max(1, roundElements / (blockRows * width))
      return (blocks + ofStretch - 1) / ofStretch
    }
    let result = try Probe.mpirun(ranks: ranks, ["move-table", arrangement, "\(rows)", "\(hidden)", "\(roundElements)"])
    #expect(result.status == 0, "\(result.errors)")
    #expect(result.lines.map(String.init) == [String](repeating: "right \(stretches(hidden) + stretches(1))", count: ranks))
    if roundElements == 1 { #expect(stretches(hidden) > 1) }
  }
}
