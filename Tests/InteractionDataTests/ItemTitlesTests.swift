import InteractionData
import SystemSupport
import Testing

/// Files with titles of items, as people have them.
@Suite struct ItemTitlesTests {
  static let files: [(name: String, text: [UInt8], titles: [String])] = [
    ("CSV", Array("movieId,title,genres\n7,\"Good, the \"\"Bad\"\"\",x\n9,Alien,y\n".utf8), ["Good, the \"Bad\"", "Alien"]),
    ("a shop's orders", Array("Name,Lineitem name,Lineitem sku\n#1001,A,7\n#1002,B,9\n".utf8), ["A", "B"]),
    ("columns in another order", Array("name\tkind\titem_id\nA\tx\t7\nB\ty\t9\n".utf8), ["A", "B"]),
    (
      "RecBole", Array("item_id:token\tmovie_title:token_seq\tclass:token_seq\n9\tAlien\tx\n7\tToy Story\ty\n".utf8),
      ["Toy Story", "Alien"]
    ),
    ("movies.dat", Array("7::Toy Story (1995)::Comedy\n8::Heat::Action\n9::Alien::Horror\n".utf8), ["Toy Story (1995)", "Alien"]),
    (
      "u.item, in ISO 8859-1",
      Array("7|Caf".utf8) + [0xE9] + Array("|".utf8) + Array(repeating: UInt8(ascii: "|"), count: 21) + Array("\n".utf8)
        + Array("9|Alien||".utf8) + Array(repeating: UInt8(ascii: "|"), count: 20) + Array("\r\n".utf8), ["Café", "Alien"]
    ),
    ("an item without", Array("item_id;title\n9;Alien\n".utf8), ["", "Alien"]),
    (
      "JSON lines",
      Array(
        (#"{"asin": "7", "price": 3, "title": "A \"b\" \u00e9", "also": ["x"], "details": {"title": "no"}}"# + "\n"
          + #"{"title": "Alien", "asin": "9"}"# + "\n" + #"{"asin": "11"}"# + "\n").utf8), ["A \"b\" é", "Alien"]
    ),
    (
      "JSON lines with numbers", Array((#"{"item_id": 7, "name": "A"}"# + "\n" + #"{"item_id": 9, "name": null}"#).utf8), ["A", ""]
    ),
    ("a JSON array", Array(#"[{"id": 7, "title": "A"}, {"id": 9, "title": "B"}]"#.utf8), ["A", "B"]),
    (
      "Python dictionaries", Array("{'asin': u'7', 'title': \"It's\"}\n{'asin': '9', 'title': 'B'}\n".utf8), ["It's", "B"]
    ),
    ("control characters", Array("item_id,title\n7,\"a\nb\u{7}\"\n9,c\n".utf8), ["a b ", "c"]),
  ]

  private func read(_ text: [UInt8], _ log: (String) -> Void = { _ in }) throws -> ItemTitles {
    let path = try Scratch().write(text)
    return try ItemTitles.read(path, for: ExternalIDs([Array("7".utf8), Array("9".utf8)]), log: log)
  }

  @Test(arguments: files.indices) func areRead(_ index: Int) throws {
    let (name, text, expected) = Self.files[index]
    let titles = try read(text)
    #expect([1, 2].map { String(decoding: titles[$0], as: UTF8.self) } == expected, "\(name)")
    #expect(titles.missingCount == expected.count { $0.isEmpty }, "\(name)")
  }

  @Test func oddRowsAreCounted() throws {
    var messages: [String] = []
    let rows = (100..<300).map { "\($0),t\n" }.joined()
    let titles = try read(Array("item_id,title\n7,A\n7,B\n9\n9,C\n\(rows)".utf8)) { messages.append($0) }
    #expect([1, 2].map { String(decoding: titles[$0], as: UTF8.self) } == ["A", "C"])
    #expect(messages.contains { $0.contains(":4: \"9\": not the 2 columns of the other rows; 1 of 204 rows are left out") }, "\(messages)")
    #expect(messages.contains { $0.hasSuffix("1 rows give an item another title than an earlier one, which counts") })
  }

  @Test(arguments: [
    ("", "empty"), ("item_id,price\n7,3\n", "no known layout of titles"), ("7 Alien\n", "no known layout of titles"),
    ("item_id,title\n70,A\n", "none of its items is one of the model's: its ids are such as \"70\", the model's such as \"7\""),
    ("{\"item_id\": 7, \"price\": 3}\n", "no known layout of titles; give objects with keys for an item and a title"),
    ("{\"item_id\": 7, \"title\": \"A\"}\n{\"title\": \"B\"}\n", ": no \"item_id\"; 1 of 2 rows are such"),
    ("{\"item_id\": 7, \"title\": \"A\"}\n{\"item_id\": 9, \"title\": \n", "no object; 1 of 2 rows are such"),
    ("{\"item_id\": 70, \"title\": \"A\"}\n", "none of its items is one of the model's: its ids are such as \"70\""),
    ("item_id,title\n7,A\n9\n", "data.txt:3: \"9\": not the 2 columns"),
  ]) func othersAreRefused(text: String, words: String) throws {
    let failure = try #require(throws: ProgramFailure.self) { try read(Array(text.utf8)) }
    #expect(failure.exitCode == .badData && failure.message.contains(words), "\(failure.message)")
  }
}
