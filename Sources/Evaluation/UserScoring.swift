import Communication
import SystemSupport

/// What ranks users' held-out items, some blocks at a time.
protocol UserScoring: AnyObject {
  /// Most blocks of a rank in a round; the same on all ranks.
  var blocksPerRound: Int { get }

  /// Blocks that this rank goes through, of so many.
  func blocksSeen(of count: Int, ranks: Int) -> Int

  /// Collective. The results of this rank's blocks of a round in their order, or why one has none.
  func score(_ own: [Int], of round: Range<Int>) throws(CollectiveFailure) -> [Result<[UserResult], ProgramFailure>]
}

extension UserScoring {
  /// Blocks that a rank scores before results are gathered, where memory allows.
  static var mostBlocksPerRound: Int { 32 }
}
