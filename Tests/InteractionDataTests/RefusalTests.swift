import InteractionData
import SystemSupport
import Testing

/// What is no data set, and rows that are none: refused, never guessed.
@Suite struct RefusalTests {
  static let refused: [(name: String, bytes: [UInt8], said: String)] = [
    ("empty", [], "empty"),
    ("blank", Array("\n  \n\r\n".utf8), "empty"),
    ("only a byte-order mark", [0xEF, 0xBB, 0xBF], "empty"),
    ("only a header", Array("user_id,item_id,timestamp\n".utf8), "no interactions"),
    ("cut off gzip", [0x1F, 0x8B, 8, 0, 1, 2, 3], "gzip -dc F > G"),
    ("cut off zstd", [0x28, 0xB5, 0x2F, 0xFD, 4, 0, 1], "zstd -dc F > G"),
    ("zip of nothing", Array("PK\u{5}\u{6}".utf8) + [UInt8](repeating: 0, count: 18), "no file is in this archive"),
    ("7z", [0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C, 0, 4], "7z e -so F > G"),
    ("Parquet", Array("PAR1".utf8) + [21, 0, 4, 1, 2, 3] + Array("PAR1".utf8), "read_parquet"),
    ("UTF-16", [0xFF, 0xFE, 0x75, 0, 0x20, 0], "iconv"),
    ("binary", [0x7F, 0x45, 0x4C, 0x46, 2, 1, 1, 0, 0, 0, 0], "data.txt:1: \"\\x7FELF\\x02\\x01\\x01\\x00"),
    ("binary after text", Array("u i\nu j\n".utf8) + [0], "zero byte at offset 8"),
    ("JSON without items", Array("{\"reviewerID\": \"a\", \"thing\": \"b\"}\n".utf8), "without a column for the item"),
    ("JSON array", Array(" [ {\"user\": 1}]".utf8), "without a column for the item"),
    ("JSON array cut off", Array(" [ {\"user\": 1, \"item\": 2}".utf8), "cut off"),
    ("JSON document with a fault", Array("[{\"user\": 1, \"item\": 2},\n{\"user\": 1, \"item\"]".utf8), "data.txt:2"),
    ("broken JSON", Array("{\"reviewerID\": \"a\", \"asin\" \"b\"}\n".utf8), "the first object cannot be read"),
    (
      "prose", Array("It was the best of times,\nit was the worst of times, it was the age of wisdom,\nof\n".utf8),
      "data.txt:1"
    ),
    ("one word a line", Array("alpha\nbeta\ngamma\n".utf8), "data.txt:1: \"alpha\""),
    (
      "sentences with a comma", Array("Well then, we go\nOh dear, it rains\nSo far, so good\n".utf8), "text rather than"
    ),
    ("three words", Array("one two three\nfour five six\n".utf8), "neither a rating nor a time"),
    ("five columns", Array("1,2,3,4,5\n6,7,8,9,0\n".utf8), "5 columns and no header"),
    ("unknown header", Array("kunde,ware,note,zeit\nu,i,3,1500000000\nu,j,3,1500000001\n".utf8), "looks like a header"),
    ("half a header", Array("user_id,thing,timestamp\nu,i,1500000000\n".utf8), "without a column for the item"),
    ("no times", Array("user_id,item_id,timestamp\nu,i,soon\nu,j,later\n".utf8), "data.txt:2: \"soon\""),
    ("Hive's separator", Array("u\u{1}i\u{1}1500000000\nu\u{1}j\u{1}1500000001\n".utf8), "tr '\\001' '\\t' < FILE"),
    ("circumflexes", Array("user_id^item_id\nu^i\nv^j\n".utf8), "separated by '^', which is not read"),
    ("circumflexes here and there", Array("u^i\nuser\nv^w^j\n".utf8), "give lines 'user item'"),
    ("mostly odd lines", Array("u i\nu\nv\nw\n".utf8), "data.txt:2"),
  ]

  @Test(arguments: refused.indices)
  func refuses(_ index: Int) throws {
    let (name, bytes, said) = Self.refused[index]
    let scratch = try Scratch()
    let path = try scratch.write(bytes)
    let failure = failure { try load(path) }
    #expect(failure.exitCode == .badData, "\(name)")
    #expect(failure.message.contains(said), "\(name): \(failure.message)")
    #expect(failure.message.contains(path), "\(name): \(failure.message)")
    #expect(failure.message.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F }, "\(name)")
  }

  @Test func pathsThatAreNoFiles() throws {
    let scratch = try Scratch()
    #expect(failure { try load(scratch.path("absent")) }.exitCode == .unreadable)
    let folder = failure { try load(scratch.folder) }
    #expect(folder.exitCode == .badData && folder.message.contains("folder without manifest.json"))
    let file = try scratch.write("u i\n")
    #expect(failure { try load(file, scratch.folder) }.exitCode == .badData)
    #expect(failure { try load("-", "-") }.exitCode == .usage)
  }

  static let badRows: [(row: String, reason: String)] = [
    ("u,i,3", "wrong number of columns (3, expected 4)"), ("u,i,3,4,5", "wrong number of columns (5, expected 4)"),
    (",i,3,1500000000", "empty id"), ("u,,3,1500000000", "empty id"), ("u,i,3,", "time that cannot be read"),
    ("u,i,3,noon", "time that cannot be read"), ("u,i,3,nan", "time that is not finite"),
    ("u,i,3,-Infinity", "time that is not finite"), ("u,i,3,1e30", "time outside"),
    ("u,i,3,99999999999999999999", "time outside"), ("\"u,i,3,1500000000", "quotes that do not match"),
    ("\"u\"x,i,3,1500000000", "quotes that do not match"), ("u,i,3,0x10", "time that cannot be read"),
  ]

  @Test(arguments: badRows.indices)
  func badRow(_ index: Int) throws {
    let (row, reason) = Self.badRows[index]
    let good = (0..<10).map { "v\($0 % 2),i\($0),3,\(1_500_000_000 + $0)\n" }
    let lines = good[..<4].joined() + row + "\n" + good[4...].joined()
    let path = try Scratch().write(lines)
    let failure = failure { try load(path) }
    #expect(failure.exitCode == .badData)
    #expect(failure.message.contains("1 of 11 rows") && failure.message.contains("--skip-bad-rows"))
    #expect(failure.message.contains("\(path):5: ") && failure.message.contains(reason), "\(failure.message)")

    let loaded = try load(path, skipBadRows: true)
    #expect(loaded.statistics.interactions == 10 && loaded.statistics.users == 2)
    #expect(loaded.statistics.droppedRows.values.reduce(0, +) == 1)
    #expect(loaded.log.contains { $0.hasPrefix("bad row: \(path):5: ") && $0.contains(reason) })
    #expect(loaded.statistics.description.contains("rows left out             1 (1 "))
  }

  @Test func onePercentMayBeBad() throws {
    func rows(_ good: Int, _ bad: Int) -> String {
      String(repeating: "u i\n", count: good) + String(repeating: "odd\n", count: bad)
    }
    let loaded = try load(try Scratch().write(rows(693, 7)))
    #expect(loaded.statistics.droppedRows == ["wrong number of columns": 7])
    // Five rows, how many there are.
    #expect(loaded.log.count { $0.hasPrefix("bad row: ") } == 5)
    #expect(loaded.log.last?.contains("7 in all") ?? false)
    #expect(failure { try load(try Scratch().write(rows(692, 7))) }.exitCode == .badData)
  }

  @Test func aBadRowLeavesNoIDsBehind() throws {
    let text = "u,i,3,1500000000\nghost,phantom,3,never\nu,j,3,1500000001\n"
    let loaded = try load(try Scratch().write(text), skipBadRows: true)
    #expect(loaded.dataset.userIDs.count == 1 && loaded.dataset.itemIDs.count == 2)
  }

  @Test func onlyBadRows() throws {
    let path = try Scratch().write("user,item,time\nu,,1\nv,,2\n")
    #expect(failure { try load(path, skipBadRows: true) }.exitCode == .badData)
  }

  @Test func longTextIsShortened() throws {
    let text = String(repeating: "word", count: 1000) + "\u{1B}[31m\n"
    let failure = failure { try load(try Scratch().write(text)) }
    #expect(failure.message.count < 700 && !failure.message.contains("\u{1B}"))
  }
}
