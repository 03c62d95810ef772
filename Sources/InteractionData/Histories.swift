import SystemSupport

/// Users' histories as a file has them, without any vocabulary: what recommendations are asked for.
package struct Histories: Sendable {
  /// External ids, in order of first appearance.
  package let users: ExternalIDs
  private let itemIDs: ExternalIDs
  /// Numbers of `itemIDs`, from 1.
  private let sequences: Sequences

  /// Reads what the readers of data sets read (`-` is standard input), and in pairs and lists also lines with a user
  /// alone, which has an empty history. Where no format is recognised, lines are pairs `user item`, the oldest first.
  /// Lines of three columns or more without a header are refused unless the options say what they are. An empty input
  /// has no users.
  ///
  /// - Throws: Exit code 65 for data that cannot be read, 66 for a file that cannot be opened.
  package static func read(
    _ path: String, options: LoadingOptions = LoadingOptions(), log: (String) -> Void
  ) throws(ProgramFailure) -> Histories {
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
    let sequences = grouped.sequences()
    // Many catalogues have an item "5", so that ratings would be answered.
    if let items = rows.foundItems {
      let repeats = DatasetStatistics.countRepeats(sequences, itemCount: itemIDs.count).interactions
      try items.requireNoRatings(itemIDs, sequences, repeats: repeats, file: path == "-" ? "standard input" : path)
    }
    return Histories(users: users, itemIDs: itemIDs, sequences: sequences)
  }

  package func itemCount(of user: Int) -> Int { sequences.length(of: user) }

  /// Items of the longest history.
  package var longest: Int { (0..<sequences.userCount).reduce(0) { max($0, sequences.length(of: $1)) } }

  /// A catalogue's item for each item of the histories, 0 for those that it does not have.
  package func translation(_ catalogue: ItemIndex) -> [Int32] { (0..<itemIDs.count).map { catalogue.item(itemIDs[$0]) ?? 0 } }

  /// A user's items in a catalogue, the oldest first, without those that it does not have.
  package func items(of user: Int, _ translation: [Int32]) -> [Int32] {
    sequences[user].lazy.map { translation[Int($0) - 1] }.filter { $0 != 0 }
  }

  /// Interactions with items that a catalogue does not have.
  package func unknownCount(_ translation: [Int32]) -> Int {
    (0..<sequences.userCount).reduce(0) { $0 + sequences[$1].count { translation[Int($0) - 1] == 0 } }
  }

  /// External ids of a user's items, the oldest first.
  package func items(of user: Int) -> [ArraySlice<UInt8>] { sequences[user].map { itemIDs[Int($0) - 1] } }
}
