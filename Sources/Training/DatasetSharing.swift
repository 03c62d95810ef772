import Communication
import InteractionData
import SystemSupport

extension Dataset {
  /// Rank 0's data set on every rank; the others pass nil. They get no external ids, which rank 0 alone writes and prints, and
  /// need neither the file nor a shared file system. The sequences stand in memory once per host.
  static func shared(
    _ own: Dataset?, _ communicator: any Communicator, log: (String) -> Void
  ) throws(CollectiveFailure) -> Dataset {
    if communicator.size == 1, let own { return own }
    return try Activity.during("sending the data to the other ranks") { () throws(CollectiveFailure) in
      try sent(own, communicator, log: log)
    }
  }

  private static func sent(
    _ own: Dataset?, _ communicator: any Communicator, log: (String) -> Void
  ) throws(CollectiveFailure) -> Dataset {
    let name = try communicator.broadcast(own?.name)
    let fingerprint = try communicator.broadcast(own?.fingerprint)
    let counts = try communicator.broadcast(own?.itemCounts)
    let sequences = try Sequences.shared(own?.sequences, communicator, log: log)
    return Dataset(
      name: name, itemIDs: own?.itemIDs ?? ExternalIDs(), itemCounts: counts, userIDs: own?.userIDs ?? ExternalIDs(),
      sequences: sequences, fingerprint: fingerprint)
  }

  /// What training and evaluation need at least.
  func requireUsable() throws(ProgramFailure) {
    if itemCount < 2 {
      throw ProgramFailure(
        .badData, "\(name) has \(itemCount) item(s): with fewer than 2 there is nothing to learn or to rank. Give more data.")
    }
    if !(0..<sequences.userCount).contains(where: { sequences.length(of: $0) >= LeaveOneOut.minimumLength }) {
      throw ProgramFailure(
        .badData,
        "no user of \(name) has \(LeaveOneOut.minimumLength) interactions, so no item can be held out to evaluate on. "
          + "Check the column order (user first), or give longer histories.")
    }
  }
}

extension Sequences {
  /// Rank 0's on every rank, in memory that the ranks of a host share.
  fileprivate static func shared(
    _ own: Sequences?, _ communicator: any Communicator, log: (String) -> Void
  ) throws(CollectiveFailure) -> Sequences {
    // What they point to stays as long as `own` does.
    let storage = own?.withStorage { ($0, $1) }
    func copied<Element: BitwiseCopyable>(_ elements: UnsafeBufferPointer<Element>?) throws(CollectiveFailure) -> HostCopy {
      let own = UnsafeRawBufferPointer(elements ?? UnsafeBufferPointer(start: nil, count: 0))
      return try communicator.copyToHosts(byteCount: own.count, "the data", log: log) { $0.copyMemory(from: own) }
    }
    let (offsets, values) = (try copied(storage?.0), try copied(storage?.1))
    withExtendedLifetime(own) {}
    return Sequences(
      offsets: offsets.bytes.assumingMemoryBound(to: Int64.self), values: values.bytes.assumingMemoryBound(to: Int32.self),
      release: { withExtendedLifetime((offsets, values)) {} })
  }

  /// Tokens of the longest question that an evaluation asks: all before the last item, and `[MASK]`. At least 1.
  public var longestQuery: Int { (0..<userCount).reduce(1) { max($0, length(of: $1)) } }
}

/// The data set at a path (or of several files, a line each), or the built-in one: what `--data` of every command takes.
public func loadDataset(
  _ path: String, options: LoadingOptions = LoadingOptions(), log: (String) -> Void
) throws(ProgramFailure) -> Dataset {
  try loadDatasetAndTargets(path, options: options, log: log).dataset
}

/// The same, with what lies behind a split by time; nil without a split.
package func loadDatasetAndTargets(
  _ path: String, options: LoadingOptions = LoadingOptions(), log: (String) -> Void
) throws(ProgramFailure) -> (dataset: Dataset, targets: Dataset?) {
  if path == DemonstrationData.path {
    if options.splitTime != nil || options.filters != InteractionFilters() {
      throw ProgramFailure(
        .usage,
        "\(path) has no times, ratings and events: filters (data_min_user_count, ...) and a split by time (split_time) are for files; "
          + "give one with --data")
    }
    return (DemonstrationData.make(), nil)
  }
  let loaded = try DatasetLoader.load(InputPaths.split(path), options: options, log: log)
  for line in loaded.statistics.description.split(separator: "\n") { log(String(line)) }
  return (loaded.dataset, loaded.targets)
}
