import Communication
import Evaluation
import InteractionData
import SystemSupport
import Training

/// A user with a model's recommendations, in words.
package struct ExampleUser: Sendable {
  package let name: String
  /// Oldest first; the newest ones alone.
  package let history: [String]
  /// Items before `history`.
  package let earlierCount: Int
  /// Best first.
  package let list: [String]
  /// The item that came next, where the model was trained without it.
  package let target: String?
  /// Its place in `list`, from 0.
  package let foundAt: Int?

  package init(name: String, history: [String], earlierCount: Int, list: [String], target: String?, foundAt: Int?) {
    (self.name, self.history, self.earlierCount) = (name, history, earlierCount)
    (self.list, self.target, self.foundAt) = (list, target, foundAt)
  }

  private static let count = 10
  private static let listLength = 10
  private static let shownHistory = 8

  /// Ten users of a run's data, evenly spaced, with what the run's best model recommends to them.
  ///
  /// - Parameters:
  ///   - data: nil: where the run's configuration says.
  ///   - items: A file of titles (`ItemTitles`).
  /// - Throws: What reading the checkpoint, the data or the titles throws.
  package static func make(
    run: RunRecord, data: String?, items: String?, log: (String) -> Void
  ) throws(ProgramFailure) -> [ExampleUser] {
    let communicator = SoloCommunicator()
    let model = try alone { () throws(CollectiveFailure) in
      try CheckpointModel(run.path, communicator: communicator, log: log)
    }
    guard let path = data ?? run.settings?.data else {
      throw ProgramFailure(.unreadable, "\(run.path) does not say where its data are; give --data")
    }
    // It was read once, by the run.
    if data == nil && path.split(separator: "\n").contains("-") {
      throw ProgramFailure(.unreadable, "the data of \(run.path) came from standard input; give them again with --data")
    }
    let titles: ItemTitles?
    if let items { titles = try ItemTitles.read(items, for: model.itemIDs, log: log) } else { titles = nil }
    // The run has said how it reads them.
    let dataset = try model.translate(model.load(path, options: nil, log: { _ in }), log: log)
    let chosen = Self.chosen(dataset.sequences, holdout: model.holdout)
    let histories = chosen.map { user in
      let items = Array(dataset.sequences[user])
      return model.holdout == .none ? items : Array(items.dropLast())
    }
    let longest = histories.reduce(0) { max($0, $1.count) }
    let scorer = try alone { () throws(CollectiveFailure) in
      try model.makeScorer(longestQuery: longest + 1, threads: 1, communicator: communicator)
    }
    let recommender = try Recommender(
      scorer: scorer, itemCounts: model.itemCounts, maximumLength: model.state.configuration.maximumSequenceLength)
    let lists = try recommender.recommend(histories: histories, topK: listLength)
    func words(_ item: Int32) -> String {
      let title = titles.map { String(decoding: $0[item], as: UTF8.self) } ?? ""
      return title.isEmpty ? String(decoding: model.itemIDs[Int(item) - 1], as: UTF8.self) : title
    }
    return zip(chosen, zip(histories, lists)).map { user, pair in
      let (history, list) = pair
      let target = model.holdout == .none ? nil : dataset.sequences[user].last
      return ExampleUser(
        name: String(decoding: dataset.userIDs[user], as: UTF8.self), history: history.suffix(shownHistory).map(words),
        earlierCount: max(0, history.count - shownHistory), list: list.items.map { words($0.item) }, target: target.map(words),
        foundAt: target.flatMap { target in list.items.firstIndex { $0.item == target } })
    }
  }

  /// One process is all ranks: their failure is its own.
  private static func alone<R>(_ work: () throws(CollectiveFailure) -> R) throws(ProgramFailure) -> R {
    do throws(CollectiveFailure) { return try work() } catch { throw error.failure }
  }

  /// Users with a held-out item, or with any where none is held out.
  private static func chosen(_ sequences: Sequences, holdout: Holdout) -> [Int] {
    let least = holdout == .none ? 1 : LeaveOneOut.minimumLength
    let candidates = (0..<sequences.userCount).filter { sequences.length(of: $0) >= least }
    if candidates.count <= count { return candidates }
    return (0..<count).map { candidates[$0 * candidates.count / count] }
  }
}
