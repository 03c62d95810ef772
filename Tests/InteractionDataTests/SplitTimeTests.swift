import Foundation
import SystemSupport
import Testing

import InteractionData

/// A split by time: histories before, targets from then on.
@Suite struct SplitTimeTests {
  /// 2021-05-03 in nanoseconds.
  private static let split = try! InteractionFilters.time("2021-05-03", origin: "")

  /// Rows in no order; x has no history, v no targets, e is new.
  private static let rows = [
    ("u", "c", 3), ("u", "a", 1), ("x", "a", 4), ("v", "b", 1), ("u", "b", 2), ("w", "a", 2), ("w", "e", 9), ("w", "c", 3), ("x", "e", 5),
    ("v", "a", 2), ("u", "a", 7),
  ]

  private static let csv = "user_id,item_id,timestamp\n" + rows.map { "\($0.0),\($0.1),2021-05-0\($0.2)T00:00:00Z\n" }.joined()

  static let files: [(name: String, text: String)] = [
    ("CSV", csv), ("tabs, epochs", rows.map { "\($0.0)\t\($0.1)\t1\t\(1_619_740_800 + 86400 * $0.2)\n" }.joined()),
    (
      "JSON lines",
      rows.map { row in
        #"{"user_id": "\#(row.0)", "item_id": "\#(row.1)", "timestamp": \#(1_619_740_800_000 + 86_400_000 * row.2)}"# + "\n"
      }.joined()
    ),
    (
      "events",
      ["u", "x", "v", "w"].map { user in
        let events = rows.filter { $0.0 == user }.map { #"{"aid": "\#($0.1)", "ts": \#(1_619_740_800_000 + 86_400_000 * $0.2)}"# }
        return #"{"session": "\#(user)", "events": [\#(events.joined(separator: ", "))]}"# + "\n"
      }.joined()
    ),
  ]

  @Test(arguments: files.indices) func whatIsBeforeIsHistory(_ index: Int) throws {
    let loaded = try load(text: Self.files[index].text, splitTime: Self.split)
    // The one row at the split itself is a target.
    #expect(Set(loaded.histories.map(\.description)) == ["u: a b", "v: b a", "w: a"])
    #expect(Set(try #require(loaded.targets).histories.map(\.description)) == ["u: c a", "x: a e", "w: c e"])
    #expect(try #require(loaded.targets).name == "data from 2021-05-03T00:00:00Z on")
    // What training sees is what it would be of a file of the earlier rows alone.
    var before = InteractionFilters()
    before.before = Self.split
    #expect(try load(text: Self.files[index].text, filters: before).dataset.fingerprint == loaded.dataset.fingerprint)
    let split = try #require(loaded.statistics.split)
    #expect(split.interactions == 6 && split.users == 3 && split.usersWithoutHistory == 1)
    // c and e, each of two.
    #expect(split.unknownItems == 4 && split.time == "2021-05-03T00:00:00Z")
    #expect(loaded.statistics.description.contains("\nsplit at                  2021-05-03T00:00:00Z: "))
    #expect(
      loaded.statistics.description.hasSuffix(
        "targets                   6 interactions of 3 users from then on; 1 of these users have no history, 4 interactions are with items "
          + "that are new"))
  }

  @Test func filtersOfHistoriesAreForHistories() throws {
    var filters = InteractionFilters()
    filters.minimumUserCount = 2
    let loaded = try load(text: Self.csv, filters: filters, splitTime: Self.split)
    #expect(loaded.histories.map(\.user) == ["u", "v"])
    let targets = try #require(loaded.targets)
    #expect(targets.sequences.userCount == 3 && loaded.statistics.split?.usersWithoutHistory == 2)
    filters.minimumUserCount = 0
    filters.last = 1
    filters.dropsDuplicates = true
    let short = try load(text: Self.csv + "x,a,2021-05-04T00:00:00Z\nv,a,2021-05-02T00:00:00Z\n", filters: filters, splitTime: Self.split)
    #expect(short.histories.allSatisfy { $0.items.count == 1 } && short.targets?.sequences.interactionCount == 6)
    #expect(short.statistics.filteredRows?["exact duplicates"] == 2)
  }

  @Test func severalFilesAreSplitAlike() throws {
    let scratch = try Scratch()
    let lines = Self.csv.split(separator: "\n", omittingEmptySubsequences: true)
    for part in 0..<2 {
      let rows = lines.dropFirst().enumerated().filter { $0.offset % 2 == part }.map(\.element)
      try scratch.write(([lines[0]] + rows).joined(separator: "\n") + "\n", "\(part).csv")
    }
    let loaded = try load(scratch.path("0.csv"), scratch.path("1.csv"), splitTime: Self.split)
    #expect(Set(loaded.histories.map(\.description)) == ["u: a b", "v: b a", "w: a"])
    #expect(loaded.targets?.sequences.interactionCount == 6)
  }

  @Test func refusals() throws {
    let pairs = failure { try load(text: "u a\nu b\n", splitTime: Self.split) }
    #expect(pairs.exitCode == .badData && pairs.message.contains("--split-time (split_time) needs a column for the time"))
    let late = try InteractionFilters.time("2030-01-01", origin: "")
    let early = failure { try load(text: Self.csv, splitTime: late) }
    #expect(early.exitCode == .badData)
    #expect(
      early.message.contains(
        "all 11 interactions are before --split-time (split_time) 2030-01-01T00:00:00Z, so there is nothing to test on; they are from "
          + "2021-05-01T00:00:00Z to 2021-05-09T00:00:00Z"), "\(early.message)")
    let later = failure { try load(text: Self.csv, splitTime: 0) }
    #expect(later.exitCode == .badData && later.message.contains("at or after") && later.message.contains("nothing to train on"))
    let lists = failure {
      try load(
        text: "user_id:token\titem_id_list:token_seq\titem_id:token\ttimestamp:float\nu\ta b\tc\t1620000000\nu\ta b c\td\t1630000000\n",
        splitTime: Self.split)
    }
    #expect(lists.exitCode == .badData, "\(lists.message)")
    let scratch = try Scratch()
    try PreparedFolder.write(
      DatasetLoader.load([try scratch.write(Self.csv)], log: { _ in }), to: scratch.path("set"))
    let folder = failure { try load(scratch.path("set"), splitTime: Self.split) }
    #expect(folder.exitCode == .usage && folder.message.contains("a prepared folder, which has no times"), "\(folder.message)")
  }

  @Test func aPreparedFolderKeepsTheFigures() throws {
    let scratch = try Scratch()
    var options = LoadingOptions()
    options.splitTime = Self.split
    let loaded = try DatasetLoader.load([try scratch.write(Self.csv)], options: options, log: { _ in })
    try PreparedFolder.write(loaded, to: scratch.path("set"))
    let again = try PreparedFolder.open(scratch.path("set"))
    #expect(again.statistics == loaded.statistics && again.targets == nil && again.statistics.split != nil)
  }

  /// The text of a time is read as that time again.
  @Test func timesAreWrittenAsTheyAreRead() throws {
    let odd: [Int64] = [
      0, -1, 1, 86_399_999_999_999, 951_782_400_000_000_000, -2_208_988_800_000_000_000, 4_107_542_399_000_000_000, .max,
    ]
    var state: UInt64 = 1
    let random = (0..<20_000).map { number in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      // The years 1680 to 2260.
      let value = Int64(bitPattern: state) / 32 * 31
      return number % 2 == 0 ? value : value / 1_000_000_000 * 1_000_000_000
    }
    for time in odd + random {
      let text = InteractionFilters.text(ofTime: time)
      #expect(try InteractionFilters.time(text, origin: "") == time, "\(text)")
    }
    #expect(InteractionFilters.text(ofTime: 951_782_400_000_000_000) == "2000-02-29T00:00:00Z")
    #expect(InteractionFilters.text(ofTime: -1) == "1969-12-31T23:59:59.999999999Z")
    #expect(InteractionFilters.text(ofTime: 1_500_000_000) == "1970-01-01T00:00:01.5Z")
  }
}

/// The last item before a split by time is the validation item.
@Suite struct LaterTestTests {
  @Test func theLastItemIsForValidation() throws {
    let sequences = Sequences([[1, 2, 3, 4], [5, 6], [7, 8, 9]])
    func training(_ holdout: Holdout, testsLater: Bool) -> [[Int32]] {
      let split = LeaveOneOut(sequences, holdout: holdout, testsLater: testsLater)
      return (0..<3).map { Array(split.trainingItems(of: $0)) }
    }
    #expect(training(.testAndValidation, testsLater: true) == [[1, 2, 3], [5, 6], [7, 8]])
    #expect(training(.test, testsLater: true) == [[1, 2, 3, 4], [5, 6], [7, 8, 9]])
    #expect(training(.testAndValidation, testsLater: false) == [[1, 2], [5, 6], [7]])
    let split = LeaveOneOut(sequences, holdout: .testAndValidation, testsLater: true)
    let asked = try #require(split.heldOut(of: 0, split: .validation))
    #expect(Array(asked.history) == [1, 2, 3] && asked.label == 4)
    #expect(split.heldOut(of: 0, split: .test) == nil && split.heldOut(of: 1, split: .validation) == nil)
  }
}
