import SystemSupport

/// Users' histories as a file has them, without any vocabulary: what recommendations are asked for.
public struct Histories: Sendable {
  /// External ids, in order of first appearance.
  public let users: ExternalIDs
  private let itemIDs: ExternalIDs
  /// Numbers of `itemIDs`, from 1.
  private let sequences: Sequences

  /// Reads what the readers of data sets read (`-` is standard input), and in pairs and lists also lines with a user
  /// alone, which has an empty history. Where no format is recognised, lines are pairs `user item`, the oldest first.
  /// Lines of three columns or more without a header are refused unless the options say what they are. An empty input
  /// has no users.
  ///
  /// - Throws: Exit code 65 for data that cannot be read, 66 for a file that cannot be opened.
  public static func read(
    _ path: String, options: LoadingOptions = LoadingOptions(), log: (String) -> Void
  ) throws(Failure) -> Histories {
    precondition(options.splitTime == nil, "histories are read whole")
    if path != "-", PreparedFolder.isPreparedFolder(path) {
      let dataset = try PreparedFolder.open(path).dataset
      log("\(path): read as: prepared folder \(dataset.name)")
      return Histories(users: dataset.userIDs, itemIDs: dataset.itemIDs, sequences: dataset.sequences)
    }
    var rows = try InputReader.read([path], options: options, readsHistories: true, report: log, log: log)
    let users = rows.table.userIDs.externalIDs()
    let itemIDs = rows.table.itemIDs.externalIDs()
    let grouped = rows.table.group()
    for place in grouped.values.indices { grouped.values[place] += 1 }
    return Histories(users: users, itemIDs: itemIDs, sequences: grouped.sequences())
  }

  public func itemCount(of user: Int) -> Int { sequences.length(of: user) }

  /// External ids of a user's items, the oldest first.
  public func items(of user: Int) -> [ArraySlice<UInt8>] { sequences[user].map { itemIDs[Int($0) - 1] } }
}
