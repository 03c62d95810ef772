import InteractionData
import Masking
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
    ("backslash.csv", "user,item\n" + rows { "\($0.user),\"say \\\"\($0.item)\\\", \\\\\"\n" }),
    ("quoted.tsv", "\"user_id\"\t\"sku\"\t\"created_at\"\n" + rows { "\"\($0.user)\"\t\"\($0.item)\"\t\"\($0.date) \($0.clock) UTC\"\n" }),
    ("check-ins", rows { "\($0.user)\t\($0.date)T\($0.clock)Z\t30.\($0.second)\t-97.\($0.second)\t\($0.item)\n" }),
    ("taobao", rows { "\($0.user),\($0.item),\($0.rating)5,pv,\($0.second)\n" }),
    ("words.csv", "user;item;date\n" + rows { "\($0.user);\($0.item);Tue Apr 0\($0.rating) \($0.clock) +0000 2012\n" }),
    (
      "two-times.csv",
      "user,item,date,time_ms\n" + rows { "\($0.user),\($0.item),1997120\($0.second < 881_280_000 ? 4 : 5),\($0.second)123\n" }
    ),
    ("lists", "7 3 6 9\n8 1 2\n9 4 5 6 7\n10 2\n11 3 4 5\n12 8 9\n"),
    ("bracketed", "u1,\"[1, 2, 3]\"\nu2,\"[4, 5]\"\nu3,\"['6', '7']\"\n"),
    (
      "recbole-lists",
      "user_id:token\titem_id_list:token_seq\titem_id:token\nu\ta\tb\nu\ta b\tc\nu\tb c\td\nv\tx\ty\nv\tx y\tz\nw\t\ta\n"
    ),
    ("netflix", "1:\n" + rows { "\($0.user),\($0.rating),\($0.date)\n" } + "22:\n" + rows { "\($0.item),\($0.rating),\($0.date)\n" }),
    (
      "json-lines",
      rows {
        #"{"reviewerID": "\#($0.user)", "asin": "\u00e9 \#($0.item)", "nested": {"a": [1, {"b": null}]}, "unixReviewTime": \#($0.second)}"#
          + "\n"
      }
    ),
    ("json-array", "[\n" + rows { #"  {"user": \#($0.user), "items": ["\#($0.item)", 7]},"# + "\n" } + #"{"user": 1, "items": []}]"#),
    (
      "events",
      rows {
        #"{"session":\#($0.user),"events":[{"aid":\#($0.item),"ts":\#($0.second)000,"type":"clicks"},{"aid":9,"ts":\#($0.second)001}]}"#
          + "\n"
      }
    ),
    ("python", rows { "{u'username': u'\($0.user)', 'product_id': \"\($0.item)\\x41\", 'date': '\($0.date)', 'x': (None, True,)}\n" }),
  ]

  static func all(in folder: String) -> [FuzzTarget] {
    let others = (formats.map(\.text) + ["{}\n{}\n", "[{}]", "{\"a\tb\": [{\"item\": 1}], \"user\": 2}\n"]).map { Array($0.utf8) }
    return formats.map { format in table(format.name, [Array(format.text.utf8)], folder) }
      + [table("any-table", others, folder), histories(others, folder), predictions(folder), titles(folder)]
  }

  private static func table(_ name: String, _ corpus: [[UInt8]], _ folder: String) -> FuzzTarget {
    let path = "\(folder)/\(name).txt"
    // Columns that are chosen may be the same one, which is wrong usage.
    return FuzzTarget(name, corpus: corpus, codes: [.badData, .usage], places: [path, folder + "/pairs"]) { input, random in
      put(input, path)
      var lines: [String] = []
      let options = try chance(options: &random)
      let loaded = try DatasetLoader.load([path], options: options) { lines.append($0) }
      for line in lines { try requirePrintable(line) }
      try check(loaded.dataset)
      if let targets = loaded.targets { try check(targets) }
      try require((loaded.targets != nil) == (options.splitTime != nil), "a split has two parts")
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

  private static let columns = [
    "user=1,item=2", "user=2,item=1,time=3", "time=none", "item=2", "item=1", "user=3,item=1,rating=2,event=4",
    "user=1,item=2,header=none", "session=session,item=events.aid,time=events.ts", "item=items", "user=user_id,item=item_id,time=5",
  ]

  /// Mostly none; else a format or columns that may be wrong, filters, or a split.
  private static func chance(options random: inout FuzzRandom) throws(ProgramFailure) -> LoadingOptions {
    var options = LoadingOptions(skipBadRows: random.chance(1, in: 2))
    switch random.below(10) {
    case 0: options.format = DataFormat.allCases[random.below(DataFormat.allCases.count)]
    case 1:
      options.columns = try ColumnChoice(columns[random.below(columns.count)], origin: "")
      if random.chance(1, in: 3) { options.format = DataFormat.allCases[random.below(DataFormat.allCases.count)] }
    case 2: options.timePattern = try TimePattern(["%Y-%m-%d %H:%M:%S", "%a %b %d %T %z %Y", "%s"][random.below(3)], origin: "")
    case 3:
      options.filters.dropsDuplicates = random.chance(1, in: 2)
      options.filters.collapsesRepeats = random.chance(1, in: 2)
      options.filters.last = random.chance(1, in: 2) ? 2 : nil
      options.filters.minimumUserCount = random.below(4)
      options.filters.minimumItemCount = random.below(4)
      options.filters.minimumRating = random.chance(1, in: 4) ? 3 : nil
      options.filters.after = random.chance(1, in: 4) ? 881_280_000_000_000_000 : nil
    case 4:
      options.splitTime = [881_280_000_000_000_000, 1_405_900_805_000_000_000, 1_333_476_005_000_000_000][random.below(3)]
      options.filters.minimumUserCount = random.below(3)
    default: break
    }
    return options
  }

  /// The same users with the same items, or a refusal.
  private static func writePairs(_ dataset: Dataset, _ folder: String) throws {
    do throws(ProgramFailure) { try PairsFile.write(dataset, to: folder + "/pairs.txt") } catch {
      // The id that cannot be written is the place then.
      throw ProgramFailure(error.exitCode, "\(folder)/pairs.txt: \(error.message)")
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

  /// Titles of some of the items, in text that is no danger to a terminal, or a refusal.
  private static func titles(_ folder: String) -> FuzzTarget {
    let path = folder + "/titles.txt"
    let corpus = [
      "movieId,title,genres\n242,\"Good, the \"\"Bad\"\"\",x\n302,Alien,y\n", "item_id:token\tmovie_title:token_seq\n302\tAlien\n",
      "242::Toy Story (1995)::Comedy\n302::Heat::Action\n", "242|A" + String(repeating: "|", count: 22) + "\n",
      #"{"asin": "242", "price": 3, "title": "A \"b\" \u00e9", "also": ["x"], "d": {"title": "no"}}"# + "\n"
        + #"{"title": null, "asin": "302"}"#,
      #"[{"id": 242, "title": "A"}, {"id": 302, "title": "B"}]"#, "{'asin': u'242', 'title': \"It's\"}\n{'asin': '302', 'title': 'B'}\n",
    ].map { Array($0.utf8) }
    let catalogue = ExternalIDs(items.map { Array($0.utf8) })
    return FuzzTarget("titles", corpus: corpus, words: ["title", "item_id", "242", "null"], places: [path]) { input, _ in
      put(input, path)
      var lines: [String] = []
      let read = try ItemTitles.read(path, for: catalogue) { lines.append($0) }
      for line in lines { try requirePrintable(line) }
      let titles = (1...Int32(items.count)).map { read[$0] }
      try require(titles.count { $0.isEmpty } >= read.missingCount, "what is missing is empty")
      for title in titles {
        guard let text = String(validating: title, as: UTF8.self) else { throw Broken("a title is UTF-8") }
        try require(!text.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7F }, "a title has no control characters")
      }
    }
  }

  /// Lists of other programs: each user's items once, or a refusal with its line.
  private static func predictions(_ folder: String) -> FuzzTarget {
    let path = folder + "/predictions.csv"
    let corpus = [
      "user_id,item_id,score,rank\n196,242,1.5,1\n196,\"3,02\",0.5,2\n186,242,-1e-3,1\n",
      "user_id\titem_id\tscore\trank\n1\\t96\t242\t1.5\t1\n186\t302\t2\t1\n", "196 Q0 242 1 0.5 run\n196 Q0 302 2 0.25 run\n",
      #"{"user_id":"196","item_id":"2\u00e942","score":1.5,"rank":1}"# + "\n" + #"{"user_id":196,"item_id":302,"rank":2}"#,
    ].map { Array($0.utf8) }
    return FuzzTarget("predictions", corpus: corpus, words: ["Q0", "rank", "score", "nan", "1e999", "\\"], places: [path]) { input, _ in
      put(input, path)
      var lines: [String] = []
      let read = try Predictions.read(path) { lines.append($0) }
      for line in lines { try requirePrintable(line) }
      let numbers = ItemNumbers(ExternalIDs(items.map { Array($0.utf8) }))
      var count = 0
      for user in 0..<read.users.count {
        let items = try read.items(of: user).map { try numbers.number($0) }
        try require(!items.isEmpty && Set(items).count == items.count, "a list holds an item once")
        count += items.count
      }
      try require(count == read.count, "a row is an item of a list")
    }
  }
}
