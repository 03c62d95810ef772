import ProbeRunner
import SystemSupport
import Testing

/// Real ranks under mpirun; one test after the other, since the cores are few.
@Suite(.serialized) struct GradientAllReduceTests {
  /// (shards, length): whole subtrees and not, several segments of 1000 and a rest, shorter than the number of ranks.
  static let sizes = [(16, 5003), (8, 2000), (13, 1999), (24, 4096), (40, 3), (8, 1)]

  static let ring = ["--mca", "coll_tuned_use_dynamic_rules", "1", "--mca", "coll_tuned_allreduce_algorithm", "4"]

  /// Lines of shards, length, hash, method.
  private func reduce(
    ranks: Int, mode: String = "exact", threads: Int, options: [String] = []
  ) throws -> [[Substring]] {
    let result = try Probe.mpirun(
      ranks: ranks, ["reduce", mode, "\(threads)"] + Self.sizes.flatMap { ["\($0)", "\($1)"] }, options: options)
    #expect(result.status == 0, "\(result.errors)")
    return result.lines.map { $0.split(separator: " ", maxSplits: 3) }
  }

  private func expectTheTree(_ lines: [[Substring]], _ comment: Comment) throws {
    try #require(lines.count == Self.sizes.count)
    for (line, size) in zip(lines, Self.sizes) {
      #expect(line[2] == PlainTree.hash(shardCount: size.0, length: size.1), comment)
    }
  }

  @Test(arguments: [1, 2, 3, 4, 5, 8]) func exactSumsHaveTheSameBitsOnAnyNumberOfRanks(ranks: Int) throws {
    let lines = try reduce(ranks: ranks, threads: ranks == 2 ? 3 : 1)
    try expectTheTree(lines, "\(ranks) ranks")
    for (line, size) in zip(lines, Self.sizes) {
      if ranks == 1 {
        #expect(line[3] == "one rank, nothing to send")
      } else if size.0 % ranks != 0 || (size.0 / ranks).nonzeroBitCount != 1 {
        #expect(line[3].hasPrefix("tree by moved bytes (\(size.0) gradient shards on \(ranks) ranks"))
      } else {
        #expect(line[3] == "MPI_Allreduce (found to add in the order of the tree)" || line[3].contains("another order"))
      }
    }
  }

  /// An MPI_Allreduce that adds in a ring is found out.
  @Test(arguments: [4, 8]) func aRingIsFoundOut(ranks: Int) throws {
    let lines = try reduce(ranks: ranks, threads: 2, options: Self.ring)
    try expectTheTree(lines, "\(ranks) ranks, ring")
    for line in lines[..<2] { #expect(line[3] == "tree by moved bytes (MPI_Allreduce adds in another order here)") }
  }

  @Test func fastSumsAreMPIs() throws {
    let lines = try reduce(ranks: 3, mode: "fast", threads: 1)
    try #require(lines.count == Self.sizes.count)
    for line in lines { #expect(line[3] == "MPI_Allreduce, in whatever order (reduction: fast)") }
  }

  @Test func moreRanksThanShardsAreRefused() throws {
    let result = try Probe.mpirun(ranks: 4, ["reduce", "exact", "1", "3", "100"])
    #expect(result.status == ProgramExitCode.usage.rawValue)
    #expect(result.count(ofErrors: "error: gradient_shards is 3, but there are 4 ranks") == 1)
  }
}
