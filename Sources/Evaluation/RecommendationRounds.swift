import Communication
import SystemSupport

extension Recommender {
  /// Histories that a rank gets in a round; fewer where lists are long.
  private static let historiesPerRound = 1024
  private static let itemsPerRound = 1 << 20

  /// Recommends for the histories that rank 0 has, on all ranks and in order, some at a time: the lists are the same on
  /// any number of ranks. Throws what `recommend(histories:topK:keepSeen:)` throws, on every rank the same.
  ///
  /// - Parameters:
  ///   - count: of the histories; that of rank 0 counts, as all arguments below.
  ///   - history: gives one.
  ///   - write: takes the next list, on rank 0; false ends it, since nobody wants more.
  public func recommend(
    count: Int, topK k: Int, keepSeen: Bool, on communicator: any Communicator, history: (Int) -> [Int32],
    write: (Int, RecommendationList) throws(Failure) -> Bool
  ) throws(CollectiveFailure) {
    let size = communicator.size
    let listLength = max(1, min(k, tokens.itemCount))
    let perRank = max(1, min(Self.historiesPerRound, Self.itemsPerRound / listLength))
    var (start, isWanted) = (0, true)
    while true {
      let now = try communicator.broadcast(isWanted ? min(perRank * size, count - start) : 0)
      if now == 0 { return }
      var histories = [[[Int32]]](repeating: [], count: size)
      if communicator.rank == 0 {
        for index in 0..<now { histories[index * size / now].append(history(start + index)) }
      }
      let own = try communicator.scatter(histories)
      let lists = try communicator.onEveryRank { () throws(Failure) in
        try recommend(histories: own, topK: k, keepSeen: keepSeen)
      }
      let gathered = try communicator.gather(lists)
      try communicator.onRankZero { () throws(Failure) in
        var index = start
        for list in gathered.joined() where isWanted {
          isWanted = try write(index, list)
          index += 1
        }
      }
      start += now
    }
  }
}

extension RecommendationList: Communicable {
  package func write(to message: inout MessageWriter) {
    message.write(items)
    message.write(isFallback)
  }

  package init(from message: inout MessageReader) throws(Failure) {
    self.init(items: try message.read(), isFallback: try message.read())
  }
}

extension ScoredItem: PlainValue {}
