import Collectives
import InteractionData
import SystemSupport

extension Dataset {
  /// Rank 0's data set on every rank; the others pass nil. They get no external ids, which rank 0 alone writes and prints, and
  /// need neither the file nor a shared file system.
  static func shared(_ own: Dataset?, _ communicator: any Communicator) throws(Failure) -> Dataset {
    if communicator.size == 1, let own { return own }
    let name = try communicator.broadcastText(own?.name ?? "")
    let fingerprint = try communicator.broadcastText(own?.fingerprint ?? "")
    let counts = try communicator.broadcastArray(own?.itemCounts ?? [])
    let storage = own?.sequences.withStorage { (Array($0), Array($1)) }
    let offsets = try communicator.broadcastArray(storage?.0 ?? [])
    let values = try communicator.broadcastArray(storage?.1 ?? [])
    if let own { return own }
    return Dataset(
      name: name, itemIDs: ExternalIDs(), itemCounts: counts, userIDs: ExternalIDs(),
      sequences: Sequences(offsets: offsets, values: values), fingerprint: fingerprint)
  }

  /// What training and evaluation need at least.
  func requireUsable() throws(Failure) {
    if itemCount < 2 {
      throw Failure(
        .badData, "\(name) has \(itemCount) item(s): with fewer than 2 there is nothing to learn or to rank. Give more data.")
    }
    if !(0..<sequences.userCount).contains(where: { sequences.length(of: $0) >= LeaveOneOut.minimumLength }) {
      throw Failure(
        .badData,
        "no user of \(name) has \(LeaveOneOut.minimumLength) interactions, so no item can be held out to evaluate on. "
          + "Check the column order (user first), or give longer histories.")
    }
  }
}

extension Sequences {
  /// Tokens of the longest question that an evaluation asks: all before the last item, and `[MASK]`. At least 1.
  public var longestQuery: Int { (0..<userCount).reduce(1) { max($0, length(of: $1)) } }
}

/// The data set at a path (or of several files, a line each), or the built-in one: what `--data` of every command takes.
public func loadDataset(
  _ path: String, options: LoadingOptions = LoadingOptions(), log: (String) -> Void
) throws(Failure) -> Dataset {
  if path == DemonstrationData.path { return DemonstrationData.make() }
  let loaded = try DatasetLoader.load(InputPaths.split(path), options: options, log: log)
  for line in loaded.statistics.description.split(separator: "\n") { log(String(line)) }
  return loaded.dataset
}
