import BERT4RecModel
import Checkpoints
import Communication
import InteractionData
import SystemSupport

/// A checkpoint's model on every rank, read by rank 0 alone; its parameters are in memory once per host where ranks can share it.
public final class CheckpointModel {
  package let state: ModelState
  /// On rank 0; empty elsewhere.
  public let itemIDs: ExternalIDs
  /// Interactions of item `i` in the training data at index `i - 1`.
  public let itemCounts: [Int64]
  /// What it was trained with, where this processor can run that: so that its scores have the same digits.
  public let backend: BackendChoice
  /// What its training did not see of each user's sequence.
  public let holdout: Holdout
  /// The folder that was used, and the data set's name and fingerprint.
  public let path: String
  /// Of the data set that it was trained on.
  public let dataName: String
  /// Of the data set that it was trained on (`Dataset.fingerprint`).
  public let dataFingerprint: String
  /// How the data that it was trained on was read; on rank 0.
  private let recorded: RunSettings

  /// `path`: a checkpoint folder or a run folder (its best checkpoint that is whole, else its latest); `log` is told, on rank 0, which
  /// of a run folder's are damaged.
  public init(_ path: String, communicator: any Communicator, log: (String) -> Void) throws(CollectiveFailure) {
    var reader: CheckpointReader?
    var recorded = RunSettings()
    let head = try communicator.fromRankZero { () throws(ProgramFailure) in
      let opened = try RunFolder.open(path, log: log)
      for key in ConfigurationKey.ofTheData + ConfigurationKey.ofTheFilters {
        if let value = opened.state.configuration[key.name] { try recorded.set(key.name, value, origin: opened.path) }
      }
      reader = opened
      return CheckpointHead(
        path: opened.path, model: opened.configuration, step: opened.state.step,
        backend: opened.state.configuration["backend"] == BackendChoice.openblas.rawValue ? .openblas : .auto,
        holdout: Self.holdout(opened.state), dataName: opened.state.dataName, dataFingerprint: opened.state.dataFingerprint)
    }
    var plan = MemoryPlan(use: .loading, model: head.model, backend: head.backend)
    (plan.rank, plan.ranks) = (communicator.rank, communicator.size)
    plan.hasParameters = communicator.hosts.firstIndex(of: communicator.hostName) == communicator.rank
    _ = try MemoryCheck.run(plan, communicator)
    if communicator.size == 1 {
      state = try communicator.onEveryRank { () throws(ProgramFailure) in try ModelState(head.model, withMoments: false) }
      reader?.copyParameters(into: state.parameters)
    } else {
      let copy = try communicator.copyToHosts(byteCount: reader?.parameterByteCount ?? 0, "the parameters", log: log) {
        reader?.copyParameters(into: $0)
      }
      state = try communicator.onEveryRank { () throws(ProgramFailure) in try ModelState(head.model, sharing: copy) }
    }
    state.step = head.step
    itemCounts = try communicator.broadcast(reader?.itemCounts)
    itemIDs = reader?.itemIDs ?? ExternalIDs()
    self.recorded = recorded
    self.path = head.path
    backend = head.backend
    holdout = head.holdout
    dataName = head.dataName
    dataFingerprint = head.dataFingerprint
  }

  private static func holdout(_ state: TrainerState) -> Holdout {
    FormerKey.present(state.configuration)["holdout"].flatMap(Holdout.init) ?? .testAndValidation
  }

  /// The data set in this model's item ids. Items that the model does not know are left out and counted; on rank 0.
  public func translate(_ dataset: Dataset, log: (String) -> Void) throws(ProgramFailure) -> Dataset {
    if dataset.fingerprint == dataFingerprint { return dataset }
    let translation = try translation(dataset, log: log)
    var (offsets, values) = ([Int64(0)], [Int32]())
    for user in 0..<dataset.sequences.userCount {
      for item in dataset.sequences[user] where translation[Int(item) - 1] > 0 { values.append(translation[Int(item) - 1]) }
      offsets.append(Int64(values.count))
    }
    return replacing(dataset, Sequences(offsets: offsets, values: values))
  }

  /// On rank 0. The data at a path. Without options, the files that the model was trained on are read as they were then, but whole:
  /// without a split by time.
  public func load(_ path: String, options: LoadingOptions?, log: (String) -> Void) throws(ProgramFailure) -> Dataset {
    try loadDataset(path, options: loadingOptions(for: path, options, split: .none), log: log)
  }

  /// Where the data are split by time.
  public enum Split: Sendable, Equatable {
    /// As the model's run did with these files.
    case asTrained
    /// They are whole.
    case none
    /// Nanoseconds since 1970.
    case at(Int64)
  }

  /// On rank 0. How the data at a path are read where a user says nothing about them, or only what the files are.
  public func loadingOptions(for path: String, _ said: LoadingOptions?, split: Split) throws(ProgramFailure) -> LoadingOptions {
    let asTrained = path == recorded.data ? try recorded.loadingOptions() : LoadingOptions()
    var options = said ?? asTrained
    if options.filters == InteractionFilters() { options.filters = asTrained.filters }
    switch split {
    case .asTrained: options.splitTime = asTrained.splitTime
    case .none: options.splitTime = nil
    case .at(let time): options.splitTime = time
    }
    return options
  }

  /// Rank 0's data in this model's item ids on every rank, for an evaluation of one split, and, on rank 0, what a reader
  /// of its report should know.
  ///
  /// A user whose held-out item the model does not know is not ranked: an item before it is no replacement. Without
  /// `options` the data are whole; with those of a split by time they end before it, with the validation item.
  public func sharedDataset(
    _ path: String, options: LoadingOptions? = nil, for split: EvaluationSplit, communicator: any Communicator,
    log: (String) -> Void
  ) throws(CollectiveFailure) -> (dataset: Dataset, notes: [String]) {
    let own = try communicator.onRankZero { () throws(ProgramFailure) -> (dataset: Dataset, notes: [String]) in
      let whole = try loadingOptions(for: path, nil, split: .none)
      let options = options ?? whole
      let dataset = try loadDataset(path, options: options, log: log)
      try dataset.requireUsable()
      if dataset.fingerprint != dataFingerprint {
        return try translate(dataset, for: split, itemsBehind: split == .test || options.splitTime != nil ? 0 : 1, log: log)
      }
      if holdout.itemCount >= (split == .test ? 1 : 2) { return (dataset, []) }
      return (
        dataset,
        [
          "the model was trained on these very items (holdout: \(holdout.rawValue)): the numbers do not tell how it does on items that it "
            + "has not seen"
        ]
      )
    }
    return (try Dataset.shared(own?.dataset, communicator, log: log), own?.notes ?? [])
  }

  /// `itemsBehind` the held-out item are in the sequences, and not looked at.
  private func translate(
    _ dataset: Dataset, for split: EvaluationSplit, itemsBehind: Int, log: (String) -> Void
  ) throws(ProgramFailure) -> (dataset: Dataset, notes: [String]) {
    let translation = try translation(dataset, log: log)
    var (offsets, values) = ([Int64(0)], [Int32]())
    var (candidates, unknown, short) = (0, 0, 0)
    for user in 0..<dataset.sequences.userCount {
      let items = dataset.sequences[user].map { translation[Int($0) - 1] }
      if items.count >= LeaveOneOut.minimumLength {
        candidates += 1
        let heldOut = items[items.count - 1 - itemsBehind]
        var known = items.filter { $0 > 0 }
        // The validation item has the last one behind it, which is not looked at.
        if itemsBehind == 1 && items[items.count - 1] == 0 { known.append(heldOut) }
        if heldOut == 0 {
          unknown += 1
        } else if known.count < LeaveOneOut.minimumLength {
          short += 1
        } else {
          values += known
        }
      }
      offsets.append(Int64(values.count))
    }
    if unknown + short == candidates {
      throw ProgramFailure(
        .badData,
        "none of the \(candidates) users of \(dataset.name) can be ranked: \(path), which was trained on \(dataName), does not know the "
          + "held-out items, or none before them. Give data with the items that it was trained on.")
    }
    var notes = [
      "\(dataset.name) is not the data that the model was trained on (\(dataName)): whether it was trained on held-out items is not known"
    ]
    let cases = [
      (unknown, "a held-out item that the model does not know"), (short, "fewer than 3 items that the model knows"),
    ]
    for (count, text) in cases where count > 0 { notes.append("\(count) of \(candidates) users have \(text): they are not ranked") }
    return (replacing(dataset, Sequences(offsets: offsets, values: values)), notes)
  }

  /// This model's id of each item of a data set, 0 for those that it does not know, which are said.
  private func translation(_ dataset: Dataset, log: (String) -> Void) throws(ProgramFailure) -> [Int32] {
    let index = ItemIndex(itemIDs)
    let translation = (0..<dataset.itemIDs.count).map { index.item(dataset.itemIDs[$0]) ?? 0 }
    let unknownItems = translation.count { $0 == 0 }
    if unknownItems == translation.count {
      throw ProgramFailure(
        .badData,
        "none of the \(translation.count) items of \(dataset.name) is known to \(path), which was trained on \(dataName): "
          + "give the data that it was trained on, with the same item ids.")
    }
    let unknown = zip(translation, dataset.itemCounts).reduce(0) { $1.0 == 0 ? $0 + $1.1 : $0 }
    log(
      "\(dataset.name) is not what \(path) was trained on (\(dataName)); \(unknownItems) items in \(unknown) interactions "
        + "are unknown to the model and left out")
    return translation
  }

  private func replacing(_ dataset: Dataset, _ sequences: Sequences) -> Dataset {
    Dataset(
      name: dataset.name, itemIDs: itemIDs, itemCounts: itemCounts, userIDs: dataset.userIDs, sequences: sequences)
  }
}
