import Foundation
import InteractionData
import SystemSupport
import Testing

/// Each way of writing down the same interactions.
@Suite struct ReadingTests {
  /// u1: b a c (by time), u2: a. First appearances: u1, u2; b, a, c.
  static let expected = [History("u1", ["b", "a", "c"]), History("u2", ["a"])]

  static let variants: [(name: String, text: String, said: String)] = [
    ("one space", "u1 b\nu1 a\nu2 a\nu1 c\n", "read as: pairs separated by one space\n"),
    ("no last line end", "u1 b\nu1 a\nu2 a\nu1 c", "pairs separated by one space"),
    ("carriage returns", "u1 b\r\nu1 a\r\nu2 a\r\nu1 c\r\n", "pairs separated by one space"),
    ("byte-order mark", "\u{FEFF}u1 b\nu1 a\nu2 a\nu1 c\n", "pairs separated by one space"),
    ("blank lines", "\n\nu1 b\n   \nu1 a\n\r\nu2 a\nu1 c\n\n", "pairs separated by one space"),
    ("tab", "u1\tb\nu1\ta\nu2\ta\nu1\tc\n", "pairs separated by a tab"),
    ("spaces", "u1   b\n  u1 a\nu2  a \nu1 c\n", "pairs separated by spaces"),
    ("header of pairs", "user_id item_id\nu1 b\nu1 a\nu2 a\nu1 c\n", "with a header"),
    ("comma", "u1,b\nu1,a\nu2,a\nu1,c\n", "columns separated by commas"),
    ("colons", "u1::b\nu1::a\nu2::a\nu1::c\n", "columns separated by '::'"),
    ("semicolon", "u1;b\nu1;a\nu2;a\nu1;c\n", "columns separated by semicolons"),
    (
      "u.data", "u1\tb\t3\t881250949\nu1\tc\t1\t881250951\nu2\ta\t5\t881250949\nu1\ta\t2\t881250950\n",
      "epoch in seconds"
    ),
    ("ratings.dat", "u1::b::3::881250949\nu1::c::1::881250951\nu2::a::5::881250949\nu1::a::2::881250950\n", "'::'"),
    ("rating, no time", "u1,b,3.5\nu1,a,2\nu2,a,-1\nu1,c,5\n", "not used: column 3 (such as \"3.5\")"),
    ("time, no rating", "u1,c,881250951\nu1,b,881250949\nu2,a,3\nu1,a,881250950\n", "time: column 3, epoch in seconds"),
    (
      "MovieLens csv",
      "userId,movieId,rating,timestamp\nu1,b,3.5,1112486027\nu1,c,3,1112486029\nu2,a,5,1\nu1,a,4,1112486028\n",
      "time: column 4 \"timestamp\", epoch in seconds"
    ),
    (
      "RecTools",
      "user_id,item_id,weight,datetime\nu1,b,1,2021-05-01\nu1,c,1,2021-05-03\nu2,a,1,2021-05-01\nu1,a,1,2021-05-02\n",
      "ISO-8601"
    ),
    (
      "time of day without a header",
      "u1,b,1,2021-05-01 09:00:00\nu1,c,1,2021-05-01 21:00:00\nu2,a,1,2021-05-01 00:00:00\nu1,a,1,2021-05-01 "
        + "10:00:00\n",
      "ISO-8601"
    ),
    (
      "Amazon 2023",
      "user_id,parent_asin,rating,timestamp\nu1,b,5.0,1355616000000\nu1,c,5.0,1355616000002\nu2,a,1.0,1355616000000\n"
        + "u1,a,5.0,1355616000001\n",
      "epoch in milliseconds"
    ),
    (
      "RecBole",
      "user_id:token\titem_id:token\trating:float\ttimestamp:float\nu1\tb\t3\t881250949\nu1\tc\t1\t881250951.5\n"
        + "u2\ta\t5\t881250949\nu1\ta\t2\t8.8125095e8\n",
      "RecBole atomic file"
    ),
    (
      "RecBole, other order, no time",
      "item_id:token\tuser_id:token\nb\tu1\na\tu1\na\tu2\nc\tu1\n", "item: column 1 \"item_id\""
    ),
    (
      "RetailRocket",
      "timestamp,visitorid,event,itemid,transactionid\n1433221332117,u1,view,b,\n1433221332119,u1,view,c,\n"
        + "1433221332117,u2,view,a,355\n1433221332118,u1,view,a,\n", "visitorid"
    ),
    (
      "YooChoose",
      "u1,2014-04-07T10:51:09.277Z,b,0\nu1,2014-04-07T10:54:09.868Z,c,0\nu2,2014-04-07T10:51:09.277Z,a,0\n"
        + "u1,2014-04-07T10:53:09.868Z,a,S\n", "item: column 3"
    ),
    ("quotes", "\"user_id\",\"item_id\"\n\"u1\",\"b\"\n\"u1\",a\nu2,\"a\"\n\"u1\",\"c\"\n", "commas with a header"),
  ]

  @Test(arguments: variants.indices)
  func variant(_ index: Int) throws {
    let variant = Self.variants[index]
    let loaded = try load(try Scratch().write(variant.text))
    #expect(loaded.histories == Self.expected, "\(variant.name)")
    #expect(loaded.said.contains(variant.said), "\(variant.name): \(loaded.said)")
  }

  @Test func amazon2018HasTheItemFirst() throws {
    let text = "0123456789,A2CX7LUOHB2NDG,5.0,1355616000\nB000000001,A2CX7LUOHB2NDG,5.0,1355615000\n"
    let loaded = try load(try Scratch().write(text))
    #expect(loaded.histories == [History("A2CX7LUOHB2NDG", ["B000000001", "0123456789"])])
    let turned = try load(try Scratch().write("A2CX7LUOHB2NDG,0123456789,5.0,1355616000\n"))
    #expect(turned.histories == [History("A2CX7LUOHB2NDG", ["0123456789"])])
  }

  @Test(arguments: [
    ("1500000000", "seconds"), ("1500000000123", "milliseconds"), ("1500000000123456", "microseconds"),
    ("1500000000123456789", "nanoseconds"),
  ])
  func epochUnits(_ time: String, _ unit: String) throws {
    // Neighbouring values must stay in order to the last digit.
    let earlier = String(time.dropLast()) + "\(Int(time.suffix(1)).map { $0 == 0 ? 0 : $0 - 1 } ?? 0)"
    let later = time.hasSuffix("0") ? String(time.dropLast()) + "1" : time
    let loaded = try load(try Scratch().write("u,b,1,\(later)\nu,a,1,\(earlier)\n"))
    #expect(loaded.histories == [History("u", ["a", "b"])])
    #expect(loaded.said.contains("epoch in \(unit)"))
  }

  @Test func isoTimesWithOffsets() throws {
    let text = """
      user,item,date
      u,f,2024-02-29T23:30:00-01:00
      u,d,2024-02-29T23:59:60Z
      u,c,2024-03-01T00:30:00.25+0100
      u,b,2024-03-01T00:30:00.125+01
      u,a,2024-02-29
      u,e,2024-03-01 00:10:00 +00:00

      """
    #expect(try load(try Scratch().write(text)).histories == [History("u", ["a", "b", "c", "d", "e", "f"])])
  }

  @Test func idsAreKeptAsTheyAre() throws {
    let long = String(repeating: "x", count: 301)
    let text = "0 -1\n00 0\n+0 \(long)\n-0 é\n\"q 'w\n\(long)y \(long)\nU u\n"
    let loaded = try load(try Scratch().write(text))
    let expected = [
      History("0", ["-1"]), History("00", ["0"]), History("+0", [long]), History("-0", ["é"]), History("\"q", ["'w"]),
      History(long + "y", [long]), History("U", ["u"]),
    ]
    #expect(loaded.histories == expected)
    // Bytes that are not UTF-8.
    let bytes = try load(try Scratch().write([0xFF, 0x20, 0x80, 0x0A, 0xFF, 0xFE, 0x20, 0x80, 0x81, 0x0A]))
    #expect(Array(bytes.dataset.userIDs[0]) == [0xFF] && Array(bytes.dataset.userIDs[1]) == [0xFF, 0xFE])
    #expect(Array(bytes.dataset.itemIDs[0]) == [0x80] && Array(bytes.dataset.itemIDs[1]) == [0x80, 0x81])
  }

  @Test func quotedFieldsFollowRFC4180() throws {
    let text = "user,item,note\n\"a,b\",\"say \"\"hi\"\"\",x\n\"two\nlines\",i,\"\"\nplain,\"\"\"\",z\nlast,i\"j,\n"
    let loaded = try load(try Scratch().write(text))
    let expected = [
      History("a,b", ["say \"hi\""]), History("two\nlines", ["i"]), History("plain", ["\""]), History("last", ["i\"j"]),
    ]
    #expect(loaded.histories == expected)
  }

  @Test func ordersUsersAndItems() throws {
    // Counts: a 1, b 2, c 2, d 1; ties by first appearance in the file, not in the sorted sequences.
    let text =
      "u2,d,1,900000003\nu1,c,1,900000001\nu2,b,1,900000001\nu1,b,1,900000009\nu2,c,1,900000002\nu1,a,1,900000000\n"
    let dataset = try load(try Scratch().write(text)).dataset
    #expect((0..<4).map { String(decoding: dataset.itemIDs[$0], as: UTF8.self) } == ["c", "b", "d", "a"])
    #expect(dataset.itemCounts == [2, 2, 1, 1])
    #expect(dataset.histories == [History("u2", ["b", "c", "d"]), History("u1", ["a", "c", "b"])])
    #expect(Array(dataset.sequences[0]) == [2, 1, 3])
  }

  @Test func tiesKeepTheOrderOfTheFile() throws {
    var text = "user,item,timestamp\n"
    for row in 0..<500 { text += "u\(row % 3),i\(row),\(1_000_000_000 - row / 50)\n" }
    let loaded = try load(try Scratch().write(text))
    for user in 0..<3 {
      let rows = (0..<500).filter { $0 % 3 == user }
      let sorted = rows.sorted { ($1 / 50, $0) < ($0 / 50, $1) }
      #expect(loaded.histories[user] == History("u\(user)", sorted.map { "i\($0)" }))
    }
    #expect(loaded.statistics.usersEndingOnTie == 3)
  }

  @Test func columnsInsideWhichSpacesStand() throws {
    let colons = try load(try Scratch().write("u::Toy Story::5::978300761\nu::Big One::5::978300760\n"))
    #expect(colons.histories == [History("u", ["Big One", "Toy Story"])])
    // Decimal commas: semicolons make more columns.
    let semicolons = try load(try Scratch().write("u;b;3,5;978300761\nu;a;3,5;978300760\n"))
    #expect(semicolons.histories == [History("u", ["a", "b"])])
    // Two columns with one space are pairs, whatever else stands there.
    #expect(try load(try Scratch().write("1,The Matrix\n2,Toy Story\n")).histories[0] == History("1,The", ["Matrix"]))
    let four = try load(try Scratch().write("u b 3 978300761\nu a 5 978300760\n"))
    #expect(four.histories == [History("u", ["a", "b"])])
  }

  @Test func wordsAboveNumbersAreMentioned() throws {
    let loaded = try load(try Scratch().write("kunde ware\n1 2\n2 3\n"))
    #expect(loaded.statistics.interactions == 3)
    #expect(loaded.said.contains("line 1, \"kunde ware\", is read as an interaction"))
  }

  @Test func severalFilesAreOneDataSet() throws {
    let scratch = try Scratch()
    let first = try scratch.write("u1,a,1,1500000003\nu2,b,1,1500000000\n", "one.csv")
    // Milliseconds here, and a header.
    let second = try scratch.write("user,item,stars,time\nu1,c,1,1500000002000\nu3,a,1,1500000000000\n", "two.csv")
    let loaded = try load(first, second)
    #expect(loaded.histories == [History("u1", ["c", "a"]), History("u2", ["b"]), History("u3", ["a"])])
    #expect(loaded.dataset.name == "one" && loaded.log.count { $0.contains("read as") } == 2)

    let pairs = try scratch.write("u1 a\n", "three.txt")
    let refused = failure { try load(first, pairs) }
    #expect(refused.exitCode == .badData && refused.message.contains("three.txt"))
  }

  @Test func manyIDs() throws {
    // Enough for the table to grow often; lengths on both sides of what a slot holds.
    var text = ""
    for row in 0..<20_000 {
      text += "\(row % 7919) \(String(repeating: "k", count: row % 11))\(row &* 7919 % 10_007)\n"
    }
    let loaded = try load(try Scratch().write(text))
    var expected: [String: [String]] = [:]
    for line in text.split(separator: "\n") {
      let fields = line.split(separator: " ").map(String.init)
      expected[fields[0], default: []].append(fields[1])
    }
    #expect(Dictionary(uniqueKeysWithValues: loaded.histories.map { ($0.user, $0.items) }) == expected)
    let index = ItemIndex(loaded.dataset.itemIDs)
    for item in 1...loaded.dataset.itemCount {
      #expect(index.item(loaded.dataset.itemIDs[item - 1]) == Int32(item))
    }
    #expect(index.item(Array("absent".utf8)) == nil && index.item("k12k".utf8) == nil && index.item([]) == nil)
  }

  @Test(arguments: [
    ("ml-1m.txt", "ml-1m"), ("my data (1).csv", "my-data-1"), (".txt", "data"), ("ratings.v2.dat", "ratings.v2"),
    ("данные.csv", "data"), ("-.x", "data"), ("...x", "data"), ("noextension", "noextension"),
  ])
  func names(_ file: String, _ name: String) throws {
    #expect(try load(try Scratch().write("u i\n", file)).dataset.name == name)
  }

  @Test func readsAPipe() throws {
    let scratch = try Scratch()
    let pipe = scratch.path("pipe.csv")
    #expect(mkfifo(pipe, 0o600) == 0)
    let writer = Thread {
      FileHandle(forWritingAtPath: pipe)?.write(Data("u,b,1,1500000001\nu,a,1,1500000000\n".utf8))
    }
    writer.start()
    #expect(try load(pipe).histories == [History("u", ["a", "b"])])
  }

  @Test(
    .enabled(if: RealData.isThere("ml-1m.txt"), "the real data are not part of the project"),
    arguments: [
      ("ml-1m.txt", 6040, 3416, 999_611), ("beauty.txt", 40226, 54542, 353_962), ("ml-100k.inter", 943, 1682, 100_000),
    ])
  func realData(_ name: String, _ users: Int, _ items: Int, _ interactions: Int) throws {
    let loaded = try load(RealData.path(name))
    #expect(loaded.statistics.users == users)
    #expect(loaded.statistics.items == items)
    #expect(loaded.statistics.interactions == interactions)
    #expect(loaded.statistics.droppedRows.isEmpty)
    let scratch = try Scratch()
    try PairsFile.write(loaded.dataset, to: scratch.path("pairs.txt"))
    if name.hasSuffix(".txt") {
      #expect(try scratch.read("pairs.txt") == Array(Data(contentsOf: URL(fileURLWithPath: RealData.path(name)))))
    } else {
      #expect(loaded.statistics.usersEndingOnTie == 415)
      #expect(loaded.statistics.lengths.percentile95.rounded() == 311)
    }
  }
}
