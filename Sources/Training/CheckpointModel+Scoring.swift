import BERT4RecModel
import Communication
import SystemSupport

extension CheckpointModel {
  /// What scores with this model, on so many threads of each rank, or on those that the rank may use. Its memory is
  /// refused before it is taken where there is not enough of it.
  ///
  /// - Parameters:
  ///   - longestQuery: most tokens of a query, `[MASK]` included.
  ///   - drawnUsers: users for whom an evaluation draws negatives, times its sampled protocols.
  public func makeScorer(
    longestQuery: Int, drawnUsers: Int = 0, threads wanted: Int? = nil, communicator: any Communicator
  ) throws(CollectiveFailure) -> ModelScorer {
    let threads = try threads(wanted, communicator)
    var plan = MemoryPlan(use: .scoring(drawnUsers: drawnUsers), model: state.configuration, backend: backend)
    (plan.rank, plan.ranks, plan.threads, plan.longestQuery) = (communicator.rank, communicator.size, threads, longestQuery)
    _ = try MemoryCheck.run(plan, communicator)
    return try communicator.onEveryRank { () throws(ProgramFailure) in
      try ModelScorer(state, backend: backend, threads: threads, longestQuery: longestQuery)
    }
  }

  /// What finds items that are like another one.
  public func makeSimilarityScorer(
    threads wanted: Int? = nil, communicator: any Communicator
  ) throws(CollectiveFailure) -> SimilarityScorer {
    // Its products are our own, whatever the backend.
    let automatic = try ThreadCount.automatic(communicator)
    let threads = wanted ?? automatic
    return try communicator.onEveryRank { () throws(ProgramFailure) in try SimilarityScorer(state, threads: threads) }
  }

  private func threads(_ wanted: Int?, _ communicator: any Communicator) throws(CollectiveFailure) -> Int {
    let takesThreads = backend.resolved != .openblas || BackendChoice.openBLASTakesThreads
    let automatic = try ThreadCount.automatic(communicator)
    try communicator.onEveryRank { () throws(ProgramFailure) in
      if let wanted, wanted > 1 && !takesThreads {
        throw ProgramFailure(
          .usage,
          "OpenBLAS is its serial build here, which gives wrong numbers now and then when two threads use it: use --threads 1 and "
            + "more ranks, or the pthread build (Debian: libopenblas0-pthread).")
      }
    }
    return takesThreads ? wanted ?? automatic : 1
  }

  /// Whether the scores of a history are the same whatever is scored beside it, which OpenBLAS does not promise.
  public var scoresAlikeTogether: Bool { backend.resolved != .openblas }
}
