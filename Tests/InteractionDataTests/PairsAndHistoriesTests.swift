import Foundation
import InteractionData
import SystemSupport
import Testing

@Suite struct PairsFileTests {
  @Test func writesTabsWhereAnIDHoldsASpace() throws {
    let scratch = try Scratch()
    let text = "user,item,time\nu2,Toy Story,2\nu1,x,1\nu2,\" \",1\nJohn Doe,x,5\nu1,\"c,d\",2\nu2,é,3\n"
    let loaded = try load(try scratch.write(text))
    try PairsFile.write(loaded.dataset, to: scratch.path("pairs.txt"))
    #expect(
      String(decoding: try scratch.read("pairs.txt"), as: UTF8.self)
        == "u2\t \nu2\tToy Story\nu2 é\nu1 x\nu1 c,d\nJohn Doe\tx\n")
    let again = try load(scratch.path("pairs.txt"))
    #expect(again.histories == loaded.histories)
    #expect(again.said.contains("pairs separated by a tab or spaces"))
    #expect(try scratch.names() == ["data.txt", "pairs.txt"])
  }

  @Test(arguments: ["a\tb", "a\nb", "a\r"])
  func refusesIDsThatPairsCannotCarry(_ id: String) throws {
    let scratch = try Scratch()
    let loaded = try load(try scratch.write("user,item\nu,\"\(id)\"\nu,i\n"))
    try scratch.write("old", "pairs.txt")
    let failure = failure { try PairsFile.write(loaded.dataset, to: scratch.path("pairs.txt")) }
    #expect(failure.exitCode == .badData && failure.message.contains("item \"a\\"))
    #expect(try scratch.read("pairs.txt") == Array("old".utf8))
    #expect(try scratch.names() == ["data.txt", "pairs.txt"])
  }

  /// First lines that would be taken for something else.
  @Test(arguments: ["user_id,item_id", "{\"\"a,b", "\u{FEFF}u,b"])
  func refusesWhatCouldNotBeReadBack(_ row: String) throws {
    let scratch = try Scratch()
    let text =
      "item,user\n" + row.split(separator: ",").reversed().map { "\"\($0)\"" }.joined(separator: ",") + "\ni,u\n"
    let loaded = try load(try scratch.write(text))
    #expect(failure { try PairsFile.write(loaded.dataset, to: scratch.path("pairs.txt")) }.exitCode == .badData)
    #expect(try scratch.names() == ["data.txt"])
  }

  @Test func refusesFolders() throws {
    let scratch = try Scratch()
    let loaded = try load(try scratch.write("u i\n"))
    #expect(failure { try PairsFile.write(loaded.dataset, to: scratch.folder) }.exitCode == .usage)
    #expect(failure { try PairsFile.write(loaded.dataset, to: "") }.exitCode == .usage)
    #expect(failure { try PairsFile.write(loaded.dataset, to: scratch.path("data.txt/x")) }.exitCode == .disk)
  }
}

@Suite struct HistoriesTests {
  func read(_ text: String) throws -> [History] {
    let histories = try Histories.read(try Scratch().write(text)) { _ in }
    return (0..<histories.users.count).map { user in
      #expect(histories.itemCount(of: user) == histories.items(of: user).count)
      return History(
        String(decoding: histories.users[user], as: UTF8.self),
        histories.items(of: user).map { String(decoding: $0, as: UTF8.self) })
    }
  }

  @Test func pairsAndEmptyHistories() throws {
    #expect(
      try read("u a\nv\nu b\nw \nx\t\nv\n") == [
        History("u", ["a", "b"]), History("v", []), History("w", []), History("x", []),
      ])
    #expect(try read("only\n") == [History("only", [])])
    #expect(try read("v\nv a\nw\n") == [History("v", ["a"]), History("w", [])])
  }

  @Test func anyFormat() throws {
    #expect(
      try read("user_id,item_id,timestamp\nu,b,1500000001\nu,a,1500000000\nv,a,1\n") == [
        History("u", ["a", "b"]), History("v", ["a"]),
      ])
    #expect(try read("u,a\nu,b\n") == [History("u", ["a", "b"])])
  }

  /// Lists and JSON say what they are; plain numbers do not.
  @Test func listsAndObjects() throws {
    #expect(try read("anna\ti3 i6 i9\nben\ti1 i2\n") == [History("anna", ["i3", "i6", "i9"]), History("ben", ["i1", "i2"])])
    #expect(
      try read("{\"user\": \"u\", \"items\": [\"a\", \"b\"]}\n{\"user\": \"v\", \"items\": []}\n") == [
        History("u", ["a", "b"]), History("v", []),
      ])
    for text in ["7 3 6 9\n", "7 3 6\n8 1 2 3\n9 5 6 7 8\n", "u,a,5,1500000000\n", "u,a,1500000000\n", "u\ta\t5\n"] {
      let failure = failure { try read(text) }
      #expect(failure.exitCode == .badData && failure.message.contains("--data-format lists"), "\(failure.message)")
    }
    func say(_ text: String, _ options: LoadingOptions) throws -> [ArraySlice<UInt8>] {
      try Histories.read(try Scratch().write(text), options: options) { _ in }.items(of: 0)
    }
    #expect(try say("7 3 6 9\n", LoadingOptions(format: .lists)).map { Array($0) } == ["3", "6", "9"].map { Array($0.utf8) })
    #expect(try say("7\n8 1\n", LoadingOptions(format: .lists)).isEmpty)
    let columns = LoadingOptions(columns: try ColumnChoice("user=1,item=2,time=4", origin: "--columns"))
    #expect(try say("u b 5 1500000001\nu a 5 1500000000\n", columns).map { Array($0) } == ["a", "b"].map { Array($0.utf8) })
  }

  @Test func emptyInput() throws {
    #expect(try read("").isEmpty)
    #expect(try read("\n\n").isEmpty)
  }

  @Test func preparedFolder() throws {
    let scratch = try Scratch()
    let loaded = try DatasetLoader.load([scratch.write("u b\nv a\nu a\n")]) { _ in }
    try PreparedFolder.write(loaded, to: scratch.path("set"))
    let histories = try Histories.read(scratch.path("set")) { _ in }
    #expect(histories.items(of: 0).map { Array($0) } == [Array("b".utf8), Array("a".utf8)])
  }

  @Test func refusals() throws {
    #expect(failure { try read("u a\nu b c d\n") }.exitCode == .badData)
    #expect(failure { try read("\u{0}binary") }.exitCode == .badData)
    #expect(failure { try Histories.read("absent") { _ in } }.exitCode == .unreadable)
  }
}

@Suite struct StatisticsTests {
  @Test func quantilesInterpolateAsNumPyDoes() {
    // numpy.quantile([1, 2, 4, 7], [0, .25, .5, .75, .95, 1]) = 1, 1.75, 3, 4.75, 6.55, 7
    let sequences = Sequences([[1, 1], [1], [1, 2, 3, 1, 1, 1, 1], [2, 1, 1, 1]])
    let statistics = DatasetStatistics(sequences: sequences, itemCount: 3, droppedRows: ["empty id": 2, "odd": 3])
    let lengths = statistics.lengths
    #expect(lengths.minimum == 1 && lengths.quartile1 == 1.75 && lengths.median == 3 && lengths.quartile3 == 4.75)
    #expect(abs(lengths.percentile95 - 6.55) < 1e-12 && lengths.maximum == 7)
    #expect(statistics.density == 14.0 / 12 && statistics.shortUsers == 2 && statistics.usersEndingOnTie == nil)
    let text = statistics.description
    #expect(text.contains("min 1, 25 % 1.75, median 3, 75 % 4.75, 95 % 6.55, max 7"))
    #expect(text.contains("density                   116.6667 %") && !text.contains("tie"))
    #expect(text.contains("5 (3 odd, 2 empty id)"))
  }

  @Test func fewerThanThreeAndTies() throws {
    let text = "user,item,time\nu,a,5\nu,b,5\nv,a,1\nw,a,1\nw,b,1\nw,c,2\n"
    let statistics = try load(try Scratch().write(text)).statistics
    #expect(statistics.shortUsers == 2 && statistics.usersEndingOnTie == 1)
  }
}
