import InteractionData
import SystemSupport
import Testing

/// What other programs recommended, in the forms that it comes in.
@Suite struct PredictionsTests {
  private func read(_ text: String) throws -> [History] {
    let scratch = try Scratch()
    let read = try Predictions.read(try scratch.write(text), log: { _ in })
    return (0..<read.users.count).map { user in
      History(
        String(decoding: read.users[user], as: UTF8.self), read.items(of: user).map { String(decoding: $0, as: UTF8.self) })
    }
  }

  /// Rows of two users mixed; b and d of u are alike.
  static let expected = [History("u", ["c", "b", "d", "a"]), History("v", ["a"])]
  static let forms: [(name: String, text: String)] = [
    ("scores", "user_id,item_id,score\nu,a,-1e3\nu,b,2\nv,a,0\nu,c,2.5\nu,d,2\n"),
    ("ranks", "user,item,rank\nu,a,4\nu,b,2\nv,a,1\nu,c,1\nu,d,2\n"),
    ("a rank counts before a score", "score,rank,userId,movieId\n9,4,u,a\n1,2,u,b\n0,1,v,a\n0,1,u,c\n5,2,u,d\n"),
    ("tabs", "user_id\titem_id\tscore\nu\ta\t1\nu\tb\t2\nv\ta\t0\nu\tc\t3\nu\td\t2\n"),
    ("semicolons, CRLF and a byte-order mark", "\u{FEFF}user;item;score\r\nu;a;1\r\nu;b;2\r\nv;a;0\r\nu;c;3\r\nu;d;2\r\n"),
    ("TREC, by the score", "u Q0 a 1 1 run\nu Q0 b 2 2 run\nv Q0 a 1 0.5 run\nu Q0 c 9 3 run\nu Q0 d 1 2 run\n"),
    ("TREC with tabs", "u\t0\ta\t1\t1\trun\nu\t0\tb\t2\t2\trun\nv\t0\ta\t1\t0.5\trun\nu\t0\tc\t9\t3\trun\nu\t0\td\t1\t2\trun\n"),
    (
      "JSON lines",
      """
      {"user_id":"u","item_id":"a","score":1,"rank":4}
      {"rank":2,"item_id":"\\u0062","user_id":"u","other":[1,{"rank":7}]}
      {"user_id":"v","item_id":"a","rank":1}

      {"user_id":"u","item_id":"c","rank":1}
      {"user_id":"u","item_id":"d","rank":2}

      """
    ),
  ]

  @Test(arguments: forms.indices) func reads(_ index: Int) throws {
    let form = Self.forms[index]
    #expect(try read(form.text) == Self.expected, "\(form.name)")
  }

  @Test func idsAreBytes() throws {
    let csv = try read("user_id,item_id,score,rank\n\"a, b\",\"say \"\"hi\"\"\",1,1\n")
    #expect(csv == [History("a, b", ["say \"hi\""])])
    // As recommend --format tsv writes them.
    #expect(try read("user_id\titem_id\tscore\trank\na\\tb\tc\\\\d\t1\t1\n") == [History("a\tb", ["c\\d"])])
    #expect(try read("user_id\titem_id\trank\na\tc\\d\t1\n") == [History("a", ["c\\d"])])
    // Numbers are ids as they stand.
    #expect(try read("{\"user\":7,\"item\":1.50,\"score\":2}\n") == [History("7", ["1.50"])])
  }

  static let refused: [(text: String, said: [String])] = [
    ("", ["data.txt: empty"]),
    ("user_id,item_id,score\n", ["no predictions"]),
    ("u a 1\nu b 2\n", ["data.txt:1: \"u a 1\"", "no known layout of predictions"]),
    ("u Q0 a first 1 run\n", ["data.txt:1", "no known layout of predictions"]),
    ("user_id,item_id,time\nu,a,1\n", ["data.txt:1", "in which order"]),
    ("user_id,item_id,score\nu,a,1\nu,b\n", ["data.txt:3", "2 columns, expected 3"]),
    ("user_id,item_id,score\nu,a,1\nu,b,good\n", ["data.txt:3", "score \"good\" is no finite number"]),
    ("user_id,item_id,score\nu,a,nan\n", ["data.txt:2", "no finite number"]),
    ("user_id,item_id,rank\nu,a,\n", ["data.txt:2", "rank \"\" is no finite number"]),
    ("user_id,item_id,score\nu,,1\n", ["data.txt:2", "missing"]),
    ("user_id,item_id,score\n\nu,a,1\nv,a,1\nu,b,3\nv,a,2\nu,a,1\n", ["data.txt:6", "\"a\"", "user \"v\"", "line 4"]),
    ("user_id,item_id,score\nu,\"a,1\n", ["data.txt:2", "quotes that do not match"]),
    ("user_id\titem_id\tscore\trank\nu\ta\\x\t1\t1\n", ["data.txt:2", "backslash"]),
    ("{\"user\":1,\"item\":2,\"score\":1}\n{\"user\":1,\"item\":3,\"rank\":1}\n", ["data.txt:2", "a rank, which the lines before"]),
    ("{\"user\":1,\"item\":2,\"rank\":1}\n{\"user\":1,\"item\":3,\"score\":1}\n", ["data.txt:2", "no rank, which the lines before"]),
    ("{\"user\":1,\"score\":1}\n", ["data.txt:1", "no item_id"]),
    ("{\"user\":1,\"item\":2}\n", ["data.txt:1", "neither rank nor score"]),
    ("{\"user\":1,\"item\":2,\"item\":3,\"rank\":1}\n", ["data.txt:1", "a key twice"]),
    ("{\"user\":1,\"item\":2,\"rank\":1\n", ["data.txt:1", "no JSON object"]),
    ("{\"user\":null,\"item\":2,\"rank\":1}\n", ["data.txt:1", "missing"]),
    ("\u{1F}\u{8B}", ["data.txt:1"]),
  ]

  @Test(arguments: refused.indices) func refuses(_ index: Int) throws {
    let (text, said) = Self.refused[index]
    let error = #expect(throws: ProgramFailure.self) { try read(text) }
    #expect(error?.exitCode == .badData)
    for words in said { #expect(error?.message.contains(words) == true, "\(words): \(error?.message ?? "")") }
  }

  @Test func numbersOfItems() throws {
    let items = ItemNumbers(ExternalIDs([Array("a".utf8), Array("b".utf8)]))
    func number(_ id: String) throws -> Int32 { try items.number(Array(id.utf8)[...]) }
    #expect(try ["b", "c", "a", "d", "c"].map(number) == [2, 3, 1, 4, 3])
    #expect(items.isKnown(2) && !items.isKnown(3) && items.catalogueCount == 2)
  }
}
