import Communication
import InteractionData
import SystemSupport

/// What recommends with all ranks.
package protocol ListSource: AnyObject {
  var tokens: TokenIDs { get }

  /// Most requests that a rank gets at once; the same on all ranks.
  func requestsPerRound(longestList: Int, ranks: Int) -> Int

  /// Collective. A list for each of this rank's requests, which are of no more than `longestList` items. Throws what
  /// `Recommender.recommend(_:)` throws, on every rank the same.
  func lists(
    _ own: [RecommendationRequest], longestList: Int, on communicator: any Communicator
  ) throws(CollectiveFailure) -> [RecommendationList]
}

extension Recommender {
  /// Recommends for the histories that rank 0 has, as the next function does.
  public func recommend(
    count: Int, topK k: Int, keepSeen: Bool, on communicator: any Communicator, history: (Int) -> [Int32],
    write: (Int, RecommendationList) throws(ProgramFailure) -> Bool
  ) throws(CollectiveFailure) {
    try recommend(
      count: count, longestList: k, on: communicator,
      request: { RecommendationRequest(history: history($0), topK: k, keepSeen: keepSeen) }, write: write)
  }

  /// Answers the requests that rank 0 has, on all ranks and in order, some at a time, so that no more than a round of them is in memory:
  /// the lists are the same on any number of ranks. Throws what `recommend(_:)` throws, on every rank the same.
  ///
  /// - Parameters:
  ///   - count: of the requests; that of rank 0 counts, as all arguments below.
  ///   - longestList: no request asks for more items.
  ///   - shared: the candidates of the requests that name none.
  ///   - request: gives one.
  ///   - write: takes the next list, on rank 0; false ends it, since nobody wants more.
  public func recommend(
    count: Int, longestList: Int, shared: CandidateItems? = nil, on communicator: any Communicator,
    request: (Int) -> RecommendationRequest, write: (Int, RecommendationList) throws(ProgramFailure) -> Bool
  ) throws(CollectiveFailure) {
    try RecommendationRounds(source: self, communicator: communicator)
      .run(count: count, longestList: longestList, shared: shared, request: request, write: write)
  }
}

extension Recommender: ListSource {
  package func requestsPerRound(longestList: Int, ranks: Int) -> Int {
    RecommendationRounds.requestsPerRound(longestList: min(longestList, tokens.itemCount))
  }

  package func lists(
    _ own: [RecommendationRequest], longestList: Int, on communicator: any Communicator
  ) throws(CollectiveFailure) -> [RecommendationList] {
    try communicator.onEveryRank { () throws(ProgramFailure) in try recommend(own) }
  }
}

/// Answers the requests of rank 0 on all ranks, some at a time.
package struct RecommendationRounds {
  let source: any ListSource
  let communicator: any Communicator

  package init(source: any ListSource, communicator: any Communicator) { (self.source, self.communicator) = (source, communicator) }

  /// Requests that a rank gets in a round; fewer where lists are long.
  static func requestsPerRound(longestList: Int) -> Int { max(1, min(1024, (1 << 20) / max(1, longestList))) }

  /// See `Recommender.recommend(count:longestList:shared:on:request:write:)`.
  package func run(
    count: Int, longestList: Int, shared: CandidateItems? = nil,
    request: (Int) -> RecommendationRequest, write: (Int, RecommendationList) throws(ProgramFailure) -> Bool
  ) throws(CollectiveFailure) {
    try Activity.during("recommendations for \(count) histories", of: count) { () throws(CollectiveFailure) in
      try runAll(count: count, longestList: longestList, shared: shared, request: request, write: write)
    }
  }

  private func runAll(
    count: Int, longestList: Int, shared: CandidateItems?,
    request: (Int) -> RecommendationRequest, write: (Int, RecommendationList) throws(ProgramFailure) -> Bool
  ) throws(CollectiveFailure) {
    let size = communicator.size
    let common = try communicator.broadcast(shared.map { [$0] } ?? []).first
    // That of rank 0 counts.
    let longestList = try communicator.broadcast(longestList)
    let perRank = source.requestsPerRound(longestList: longestList, ranks: size)
    var (start, isWanted) = (0, true)
    while true {
      let now = try communicator.broadcast(isWanted ? min(perRank * size, count - start) : 0)
      if now == 0 { return }
      var requests = [[RecommendationRequest]](repeating: [], count: size)
      if communicator.rank == 0 {
        for index in 0..<now { requests[index * size / now].append(request(start + index)) }
      }
      var own = try communicator.scatter(requests)
      for place in own.indices where own[place].candidates == nil { own[place].candidates = common }
      let gathered = try communicator.gather(source.lists(own, longestList: longestList, on: communicator))
      try communicator.onRankZero { () throws(ProgramFailure) in
        var index = start
        for list in gathered.joined() where isWanted {
          isWanted = try write(index, list)
          index += 1
        }
      }
      start += now
      Activity.advance(by: now)
    }
  }
}

extension CandidateItems: Communicable {
  package func write(to message: inout MessageWriter) { message.write(items) }

  package init(from message: inout MessageReader) throws(ProgramFailure) { self.init(ascending: try message.read()) }
}

extension RecommendationRequest: Communicable {
  package func write(to message: inout MessageWriter) {
    message.write(history)
    message.write(topK)
    message.write(keepSeen)
    message.write(candidates)
    message.write(heldOut)
  }

  package init(from message: inout MessageReader) throws(ProgramFailure) {
    self.init(
      history: try message.read(), topK: try message.read(), keepSeen: try message.read(), candidates: try message.read(),
      heldOut: try message.read())
  }
}

extension RecommendationList: Communicable {
  package func write(to message: inout MessageWriter) {
    message.write(items)
    message.write(isFallback)
  }

  package init(from message: inout MessageReader) throws(ProgramFailure) {
    self.init(items: try message.read(), isFallback: try message.read())
  }
}

extension ScoredItem: PlainValue {}
