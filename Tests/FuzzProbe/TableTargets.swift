import InteractionData
import MaskedInstances
import SystemSupport

/// Users' files in each known format, through the readers of `prepare`, `train --data` and `recommend --histories`.
enum TableTargets {
  private static let users = ["196", "186", "22", "244", "166", "298", "115", "253"]
  private static let items = ["242", "302", "377", "51", "346", "474", "265"]

  private struct Row {
    let user: String
    let item: String
    let rating: Int
    /// Since 1970.
    let second: Int
    let date: String
    let clock: String

    init(_ number: Int) {
      user = users[number * 5 % users.count]
      item = items[number * number % items.count]
      rating = 1 + number % 5
      second = 881_250_949 + number * 7919 % 100_000
      date = "2014-07-\(10 + rating)"
      clock = "10:00:\(["00", "07", "59"][rating % 3])"
    }
  }

  private static func rows(_ line: (Row) -> String) -> String { (0..<24).map { line(Row($0)) }.joined() }

  static let formats: [(name: String, text: String)] = [
    ("pairs", rows { "\($0.user) \($0.item)\n" }),
    ("pairs-tab", rows { "user \($0.user)\titem \($0.item)\n" }),
    ("u.data", rows { "\($0.user)\t\($0.item)\t\($0.rating)\t\($0.second)\n" }),
    ("ratings.dat", rows { "\($0.user)::\($0.item)::\($0.rating)::\($0.second)\n" }),
    (
      "ratings.csv",
      "userId,movieId,rating,timestamp\n" + rows { "\($0.user),\($0.item),\($0.rating).5,\($0.second)\n" }
    ),
    (
      "quoted.csv",
      "\"user_id\",\"item_id\",\"title\",\"datetime\"\r\n"
        + rows { "\"\($0.user)\",\"a \"\"\($0.item)\"\", b\",\"two\nlines\",\($0.date)T\($0.clock)Z\r\n" }
    ),
    (
      "inter",
      "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
        + rows { "\($0.user)\t\($0.item)\t\($0.rating).0\t\($0.second).25\n" }
    ),
    ("table.tsv", "date\tsession\tproduct_id\n" + rows { "\($0.date) 10:00\t\($0.user)\t\($0.item)\n" }),
    ("amazon", rows { "B000\($0.item)ABCDE".prefix(10) + ",A\($0.user)K8HZB25XB,\($0.rating).0,\($0.second)\n" }),
    ("semicolons", rows { "\($0.user);\($0.item);\($0.rating);\($0.second)000\n" }),
    ("clicks", rows { "\($0.user),\($0.date)T\($0.clock).277Z,2145\($0.item),0\n" }),
    ("spaces", rows { "\($0.user) \($0.item) \($0.rating) \($0.second)\n" }),
  ]

  static func all(in folder: String) -> [FuzzTarget] {
    let others = formats.map { Array($0.text.utf8) }
    return formats.map { format in table(format.name, [Array(format.text.utf8)], folder) }
      + [table("any-table", others, folder), histories(others, folder)]
  }

  private static func table(_ name: String, _ corpus: [[UInt8]], _ folder: String) -> FuzzTarget {
    let path = "\(folder)/\(name).txt"
    return FuzzTarget(name, corpus: corpus, places: [path, folder + "/pairs"]) { input, random in
      put(input, path)
      var lines: [String] = []
      let options = LoadingOptions(skipBadRows: random.chance(1, in: 2))
      let loaded = try DatasetLoader.load([path], options: options) { lines.append($0) }
      for line in lines { try requirePrintable(line) }
      try check(loaded.dataset)
      for line in loaded.statistics.description.split(separator: "\n") { try requirePrintable(String(line)) }
      switch random.below(8) {
      case 0, 1: try writePairs(loaded.dataset, folder)
      case 2:
        try PreparedFolder.write(loaded, to: folder + "/again")
        let again = try PreparedFolder.open(folder + "/again")
        try require(again.dataset.fingerprint == loaded.dataset.fingerprint, "a prepared folder is the same data set")
      default: break
      }
    }
  }

  /// The same users with the same items, or a refusal.
  private static func writePairs(_ dataset: Dataset, _ folder: String) throws {
    do throws(Failure) { try PairsFile.write(dataset, to: folder + "/pairs.txt") } catch {
      // The id that cannot be written is the place then.
      throw Failure(error.exitCode, "\(folder)/pairs.txt: \(error.message)")
    }
    let again = try DatasetLoader.load([folder + "/pairs.txt"], log: { _ in }).dataset
    try require(again.userIDs == dataset.userIDs, "pairs read back have the same users")
    for user in 0..<dataset.sequences.userCount {
      let old = dataset.sequences[user].map { dataset.itemIDs[Int($0) - 1] }
      let new = again.sequences[user].map { again.itemIDs[Int($0) - 1] }
      try require(old == new, "pairs read back give user \(user) the same items")
    }
  }

  /// What training relies on.
  static func check(_ dataset: Dataset) throws {
    try require(dataset.itemIDs.count == dataset.itemCount, "as many ids as items")
    try require(dataset.userIDs.count == dataset.sequences.userCount, "as many ids as users")
    var counts = [Int64](repeating: 0, count: dataset.itemCount)
    for user in 0..<dataset.sequences.userCount {
      for item in dataset.sequences[user] {
        try require(item >= 1 && Int(item) <= dataset.itemCount, "items are numbers of the vocabulary")
        counts[Int(item) - 1] += 1
      }
    }
    try require(counts == dataset.itemCounts, "the items' counts are right")
    try require(zip(counts, counts.dropFirst()).allSatisfy { $0 >= $1 }, "the counts descend")
    for holdsOut in [false, true] {
      let windows = Windows(
        LeaveOneOut(dataset.sequences, holdout: holdsOut ? .testAndValidation : .test), maximumLength: 3, slidingStep: 2)
      for window in 0..<windows.count { try require((1...3).contains(windows[window].count), "windows have their length") }
    }
  }

  private static func histories(_ corpus: [[UInt8]], _ folder: String) -> FuzzTarget {
    let path = folder + "/histories.txt"
    let more = ["196\n186\n22 242\n", "196 242\n", "\u{FEFF}user_id,item_id\n196,\n"].map { Array($0.utf8) }
    return FuzzTarget("histories", corpus: corpus + more, places: [path]) { input, random in
      put(input, path)
      var lines: [String] = []
      let read = try Histories.read(path, options: LoadingOptions(skipBadRows: random.chance(1, in: 2))) {
        lines.append($0)
      }
      for line in lines { try requirePrintable(line) }
      let known = ItemIndex(ExternalIDs(items.map { Array($0.utf8) }))
      for user in 0..<read.users.count {
        let items = read.items(of: user)
        try require(items.count == read.itemCount(of: user), "a history has its length")
        for item in items { _ = known.item(item) }
      }
    }
  }
}
