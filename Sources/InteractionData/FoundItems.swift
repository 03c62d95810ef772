import SystemSupport

/// A column of items that was found rather than given by the user, and what it must not look like once all rows are read.
struct FoundItems {
  /// Found by its name, in a header or as a key: that says more than small numbers do.
  let isNamed: Bool
  /// What says that it is right.
  let option: String

  /// Nearly all: a header that was taken for a row, or a few odd values, change nothing.
  private static let share = 0.98
  /// Below, a small set is taken as it is: chance alone may have made it.
  private static let leastInteractions = 100

  /// A column of one value in nearly every row is no item.
  func requireSeveral(_ loaded: LoadedDataset, file: String) throws(ProgramFailure) {
    let (counts, statistics) = (loaded.dataset.itemCounts, loaded.statistics)
    guard let most = counts.first, statistics.interactions >= Self.leastInteractions, statistics.users > 1,
      Double(most) > Self.share * Double(statistics.interactions)
    else { return }
    throw ProgramFailure(
      .badData,
      "\(file): \(most) of \(statistics.interactions) interactions are with the one item "
        + "\(PrintableText.quoted(loaded.dataset.itemIDs[0])), so its column is probably not the item; \(advice)")
  }

  /// A column of ratings alone is no item.
  ///
  /// A catalogue may be a handful of small numbers too, so there must be more to it: whoever rates much gives one rating
  /// again and again, whereas few of the items of a catalogue come again. Of ratings from 1 to 5, even if all are as
  /// frequent, nearly a fifth are repeats where users have three of them, and more where they have more. Where a header
  /// or a key calls the column an item, it is one.
  ///
  /// - Parameters:
  ///   - itemIDs: External ids, the item n + 1 at n.
  ///   - sequences: The users' histories of these items.
  ///   - repeats: Interactions with an item that was in the user's history before.
  func requireNoRatings(_ itemIDs: ExternalIDs, _ sequences: Sequences, repeats: Int, file: String) throws(ProgramFailure) {
    let interactions = sequences.interactionCount
    guard !isNamed, interactions >= Self.leastInteractions, sequences.userCount > 1, 6 * repeats > interactions else { return }
    let isRating = (0..<itemIDs.count).map { ColumnContent([Array(itemIDs[$0])]).isOnScale }
    var (found, ratings): (Set<Int32>, Int) = ([], 0)
    for user in 0..<sequences.userCount {
      for item in sequences[user] where isRating[Int(item) - 1] {
        found.insert(item)
        ratings += 1
      }
    }
    guard Double(ratings) > Self.share * Double(interactions) else { return }
    let values = found.sorted().map { PrintableText.quoted(itemIDs[Int($0) - 1]) }
    throw ProgramFailure(
      .badData,
      "\(file): \(ratings) of \(interactions) interactions are with \(values.count) items that look like ratings "
        + "(\(values.prefix(5).joined(separator: ", "))\(values.count > 5 ? ", ..." : "")), which users have again and again, so "
        + "their column is probably not the item; \(advice)")
  }

  private var advice: String {
    "name the right one with --columns user=...,item=... (data_columns), or this one, if it is right: \(option)"
  }
}
