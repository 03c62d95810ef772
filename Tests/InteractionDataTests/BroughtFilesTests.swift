import InteractionData
import SystemSupport
import Testing

/// Published layouts, and what people make of them: the right histories, or a refusal that says what to do.
@Suite struct BroughtFilesTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let text: String
    /// What must come out, or what the refusal must say.
    let expected: Expected
    enum Expected: Sendable {
      case histories(String, said: String)
      case refusal(String)
    }
    var testDescription: String { name }

    init(_ name: String, _ text: String, gives histories: String, _ said: String = "") {
      (self.name, self.text, expected) = (name, text, .histories(histories, said: said))
    }

    init(_ name: String, _ text: String, refused said: String) {
      (self.name, self.text, expected) = (name, text, .refusal(said))
    }
  }

  static let tables = [
    Case(
      "check-ins (Gowalla, Brightkite)",
      "0\t2010-10-19T23:55:27Z\t30.2359091167\t-97.7951395833\t22847\n0\t2010-10-18T22:17:43Z\t30.2691029532\t-97.7493953705\t420315\n",
      gives: "0: 420315 22847", "item: column 5"),
    Case(
      "check-ins (Foursquare)",
      "470\t49bbd6c0\t4bf58dd8\tArts Shop\t40.719810\t-74.002581\t-240\tTue Apr 03 18:00:09 +0000 2012\n"
        + "470\t4a43c0ae\t4bf58dd8\tBridge\t40.606799\t-74.044169\t-240\tTue Apr 03 17:00:25 +0000 2012\n",
      gives: "470: 4a43c0ae 49bbd6c0", "month as a word"),
    Case(
      "check-ins without a clear place", "0\t30.2359091167\t-97.7951395833\t22847\n1\t30.2691029532\t-97.7493953705\t420315\n",
      refused: "look like coordinates"),
    Case(
      "Netflix", "1:\n7,3,2005-09-06\n8,5,2005-05-13\n2:\n7,4,2004-01-01\n8,1,2006-01-01\n", gives: "7: 2 1; 8: 1 2", "Netflix"),
    Case(
      "a time with a name of its own", "user_id,item_id,last_watch_dt\nu,c,2021-05-03\nu,a,2021-05-01\nu,b,2021-05-02\n",
      gives: "u: a b c", "time: column 3 \"last_watch_dt\", ISO-8601"),
    Case(
      "a time by its values alone", "user_id,item_id,wann\nu,c,1650000003\nu,a,1650000001\nu,b,1650000002\n",
      gives: "u: a b c", "time: column 3 \"wann\", epoch in seconds"),
    Case(
      "H&M", "t_dat,customer_id,article_id,price,sales_channel_id\n2018-09-21,u,b,0.05,2\n2018-09-20,u,a,0.03,2\n",
      gives: "u: a b", "not used: column 4 \"price\" (such as \"0.05\")"),
    Case("camel case", "buyerId,skuId,createdAt\nu,b,2021-05-02\nu,a,2021-05-01\n", gives: "u: a b"),
    Case("a shop's words", "customer,StockCode,purchased_at\nu,b,2021-05-02\nu,a,2021-05-01\n", gives: "u: a b"),
    Case(
      "a release date is not the interaction's", "user_id,item_id,release_date\nu,c,2021-05-03\nu,a,2021-05-01\n",
      gives: "u: c a", "not used: column 3 \"release_date\""),
    Case(
      "two unknown times that disagree", "user_id,item_id,begun,ended\nu,a,2021-05-03,2021-05-09\nu,b,2021-05-01,2021-05-10\n",
      refused: "several columns may be the time, and they disagree"),
    Case(
      "two known times that disagree", "user_id,item_id,order_date,review_date\nu,a,2021-05-03,2021-05-09\nu,b,2021-05-01,2021-05-10\n",
      refused: "--columns time=order_date"),
    Case(
      "two times that agree (KuaiRand)",
      "user_id,video_id,date,hourmin,time_ms,is_click\nu,b,20220410,1003,1649556180000,1\nu,a,20220410,1003,1649556179000,0\n"
        + "u,c,20220411,0,1649606460000,0\n",
      gives: "u: a b c", "\"time_ms\", epoch in milliseconds"),
    Case(
      "a day and a time of the day", "user,item,date,time\nu,b,2021-05-02,09:30\nu,a,2021-05-02,08:15\nu,c,2021-05-03,00:01\n",
      gives: "u: a b c", "and column 4 \"time\", time of the day"),
    Case(
      "Diginetica's users",
      "sessionId;userId;itemId;timeframe;eventdate\n1;NA;81766;526309;2016-05-09\n1;NA;31331;1031018;2016-05-09\n2;5;a;1;2016-05-09\n",
      refused: "--columns user=sessionId"),
    Case("a day without a header", "u,c,20140103\nu,a,20140101\nu,b,20140102\n", gives: "u: a b c", "days as YYYYMMDD"),
    Case(
      "session, time, item", "1,1464128559.277,214536502\n1,1464128558.277,214536500\n", gives: "1: 214536500 214536502"),
    Case("lists behind a tab", "u1\ti1 i2 i3\nu2\ti9 i2\n", gives: "u1: i1 i2 i3; u2: i9 i2", "lists separated by spaces"),
    Case("letters behind a tab", "u1\ta b c d\n", gives: "u1: a b c d"),
    Case("lists in brackets", "u1,\"[1, 2, 3]\"\nu2,\"[4, 5]\"\n", gives: "u1: 1 2 3; u2: 4 5"),
    Case("lists with quotes", "user,items\nu1,\"['x', 'y']\"\nu2,\"['z']\"\n", gives: "u1: x y; u2: z"),
    Case("titles are no lists", "u1\tToy Story\nu2\tThe Matrix\n", gives: "u1: Toy_Story; u2: The_Matrix"),
    Case("user item item ...", "7 3 6 9\n8 1 2\n9 4 5 6 7\n", gives: "7: 3 6 9; 8: 1 2; 9: 4 5 6 7", "a list of items per line"),
    Case("lines of four numbers", "7 3 6 9\n8 1 2 3\n", refused: "--format lists"),
    Case(
      "RecBole's lists",
      "user_id:token\titem_id_list:token_seq\titem_id:token\nu\ta\tb\nu\ta b\tc\nu\ta b c\td\nv\tx\ty\n",
      gives: "u: a b c d; v: x y", "earlier items"),
    Case(
      "RecBole's lists in any order, cut to two",
      "user_id:token\titem_id_list:token_seq\titem_id:token\nu\ta\tb\nu\ta b\tc\nu\tb c\td\nu\tc d\te\nu\ta b\tc\n",
      gives: "u: a b c d e"),
    Case(
      "R's write.table", "\"user_id\" \"item_id\" \"time\"\n\"1\" \"u\" \"b\" 5\n\"2\" \"u\" \"a\" 4\n\"3\" \"v\" \"a\" 3\n",
      gives: "u: a b; v: a", "row names"),
    Case("a shorter header", "user_id,item_id,timestamp\n0,u,b,5\n1,u,a,4\n2,v,a,3\n", gives: "u: a b; v: a", "row names"),
    Case(
      "a header that lacks a name", "user_id,item_id\nu,b,5\nu,a,4\nv,a,3\n", refused: "the header has 2 names, but the rows have 3"),
    Case(
      "a separator at each row's end", "user_id,item_id,timestamp\nu,b,5,\nu,a,4,\nv,a,3,\n", gives: "u: a b; v: a"),
    Case(
      "row numbers without a header", "0,u,b,900000005\n1,u,a,900000004\n2,v,a,900000003\n3,v,c,900000004\n4,v,b,900000009\n",
      gives: "u: a b; v: a c b", "counts the rows"),
    Case(
      "Taobao", "1,2268318,2520377,pv,1511544070\n1,2333346,2520771,buy,1511544000\n", gives: "1: 2333346 2268318",
      "not used: column 4 (such as \"pv\")"),
    Case(
      "Shopify's orders",
      "Name,Email,Financial Status,Created at,Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku\n"
        + "#1001,u@x.com,paid,2024-01-03 07:29:05 +0100,3,\"B, red\",87.13,b\n#1002,u@x.com,paid,2024-01-02 07:29:05 +0100,1,A,3.5,a\n",
      gives: "u@x.com: a b", "user: column 2 \"Email\""),
    Case(
      "many columns of unknown names", "Auftrag,Kunde,Ware,Menge,am\n1,k,b,3,2024-01-02\n2,k,a,1,2024-01-03\n",
      refused: "the first line looks like a header, but names no user and item"),
    Case("five columns", "1,2,3,4,5\n6,7,8,9,0\n", refused: "known names: users: userid"),
    Case(
      "REES46",
      "event_time,event_type,product_id,category_id,price,user_id\n2019-10-01 00:00:02 UTC,view,b,2053013555631882655,1.5,u\n"
        + "2019-10-01 00:00:00 UTC,view,a,2053013555631882655,1.5,u\n", gives: "u: a b", "ISO-8601 text with zone"),
    Case(
      "Tianchi", "user_id,item_id,behavior_type,user_geohash,item_category,time\nu,b,1,,4076,2014-12-06 03\nu,a,1,,4076,2014-12-06 02\n",
      gives: "u: a b"),
    Case("German days", "user,item,date\nu,b,04.01.2014\nu,a,03.02.2013\n", gives: "u: a b"),
    Case("American days", "CustomerID,StockCode,InvoiceDate\nu,b,12/13/2010 8:26\nu,a,12/1/2010 8:26\n", refused: "--time-format"),
    Case("days with slashes, the year first", "user,item,date\nu,b,2014/01/04\nu,a,2014/01/03\n", gives: "u: a b"),
    Case("bars", "user_id|item_id|timestamp\nu|b|5\nu|a|4\n", gives: "u: a b"),
    Case(
      "tabs with quotes", "\"user_id\"\t\"item_id\"\n\"u\"\t\"a \"\"b\"\"\"\n\"u\"\t\"c\"\n", gives: "u: a_\"b\" c"),
    Case(
      "backslashes before quotes (Spark)", "user,item\nu,\"say \\\"hi\\\", you\"\nu,\"x\\\"y\"\nv,z\n",
      gives: "u: say_\"hi\",_you x\"y; v: z", "escaped by backslashes"),
    Case(
      "Book-Crossing", "\"User-ID\";\"ISBN\";\"Book-Rating\"\n\"276725\";\"034545104X\";\"0\"\n\"276725\";\"0155061224\";\"5\"\n",
      gives: "276725: 034545104X 0155061224", "time: none"),
    Case(
      "steam-200k", "151603712,\"The Elder Scrolls V Skyrim\",purchase,1.0,0\n151603712,\"The Elder Scrolls V Skyrim\",play,273.0,0\n",
      refused: "5 columns and no header"),
    Case("LFM-1b", "31435741\t2\t4\t4\t1385212958\n31435741\t2\t4\t4\t1385212642\n", refused: "5 columns and no header"),
    Case(
      "MIND",
      "1\tU13740\t11/11/2019 9:05:58 AM\tN55189 N42782\tN55689-1 N35729-0\n2\tU91836\t11/12/2019 6:11:30 PM\tN31739 N6072\tN20678-0 N39317-0\n",
      refused: "5 columns and no header"),
    Case(
      "HetRec", "userID\tmovieID\trating\tdate_day\tdate_month\tdate_year\n75\t3\t1\t29\t10\t2006\n75\t32\t4.5\t29\t10\t2006\n",
      refused: "the date is spread over several columns"),
    Case(
      "Trivago",
      "user_id,session_id,timestamp,step,action_type,reference\nu,s,1541037460,1,search for poi,Newtown\nu,s,1541037461,2,view,666856\n",
      refused: "without a column for the item"),
    Case(
      "both a shorter header and empty ends", "user_id,item_id,note\n1,u,b,\n2,u,a,\n3,v,a,\n",
      refused: "the header has 3 names, but the rows have 4"),
    Case("columns of other names", "video_id,user_idx\na,u\nb,u\n", gives: "u: a b"),
    Case("venues", "venue_id,client_id\na,u\nb,u\n", gives: "u: a b"),
    Case("queries of users", "account_id,query_id\nu,a\nu,b\n", gives: "u: a b"),
    Case("results of queries", "query_id,isbn\nu,a\nu,b\n", gives: "u: a b"),
    Case("an item of fractions", "user,item,time\nu,3.25,5\nu,4.75,6\n", refused: "holds decimal fractions"),
    Case("an item of times", "user,item\nu,2021-05-01\nu,2021-05-02\n", refused: "holds times"),
    Case(
      "an item of ratings", (0..<12).map { "u\($0 % 3),\(1 + $0 % 5),i\($0 * 7),\(900_000_000 + $0)\n" }.joined(),
      refused: "holds ratings"),
    Case(
      "ratings before items", (0..<12).map { "u\($0 % 3),\(1 + $0 % 5),\(100 + $0 * 7),\(900_000_000 + $0)\n" }.joined(),
      refused: "holds ratings"),
    Case(
      "one item in nearly every row", (0..<200).map { "u\($0 % 3),shop,\(1 + $0 % 5),\(900_000_000 + $0)\n" }.joined(),
      refused: "200 of 200 interactions are with the one item"),
    Case("a header of a user and a rating", "user,stars\nu,5\nu,3\nv,4\n", refused: "without a column for the item"),
    Case("a header of an item and a time", "sku\tcreated_at\na\t2021-05-03\nb\t2021-05-01\n", refused: "without a column for the user"),
    Case("YooChoose only where all columns fit", "1,2014-04-07T10:51:09Z,3.5,0\n1,2014-04-07T10:52:09Z,4.5,0\n", refused: "holds times"),
    Case(
      "YooChoose purchases", "1,2014-04-07T10:52:09.277Z,b,12462,1\n1,2014-04-07T10:51:09.277Z,a,10471,1\n", gives: "1: a b"),
  ]

  /// Spaces in ids stand as `_` in `expected`.
  @Test(arguments: tables) func table(_ file: Case) throws { try check(file) }

  private func check(_ file: Case) throws {
    let path = try Scratch().write(file.text)
    switch file.expected {
    case .histories(let expected, let said):
      let loaded = try load(path)
      let found = loaded.histories.map { History($0.user, $0.items.map { $0.replacing(" ", with: "_") }) }
      #expect(found == histories(expected), "\(loaded.said)")
      #expect(said.isEmpty || loaded.said.contains(said), "\(loaded.said)")
    case .refusal(let said):
      let failure = failure { try load(path) }
      #expect(failure.exitCode == .badData && failure.message.contains(said), "\(failure.message)")
      #expect(failure.message.contains("data.txt"), "\(failure.message)")
    }
  }

  static let objects = [
    Case(
      "Amazon reviews",
      "{\"reviewerID\": \"u\", \"asin\": \"b\", \"helpful\": [2, 3], \"reviewText\": \"so \\\"so\\\", {x\", \"overall\": 5.0, \"unixReviewTime\": 1252800001, \"reviewTime\": \"09 13, 2009\"}\n"
        + "{\"reviewerID\": \"u\", \"asin\": \"a\", \"overall\": 5.0, \"unixReviewTime\": 1252800000, \"reviewTime\": \"09 13, 2009\"}\n",
      gives: "u: a b", "read as: JSON lines"),
    Case(
      "Yelp",
      "{\"user_id\":\"u\",\"business_id\":\"b\",\"stars\":4.0,\"date\":\"2018-07-07 22:09:11\"}\n"
        + "{\"user_id\":\"u\",\"business_id\":\"a\",\"stars\":4.0,\"date\":\"2012-07-07 22:09:11\"}\n", gives: "u: a b"),
    Case(
      "OTTO",
      "{\"session\":1,\"events\":[{\"aid\":7,\"ts\":1661724000278,\"type\":\"clicks\"},{\"aid\":8,\"ts\":1661724000277,\"type\":\"carts\"}]}\n"
        + "{\"session\":2,\"events\":[{\"aid\":7,\"ts\":1661724000278,\"type\":\"orders\"}]}\n",
      gives: "1: 8 7; 2: 7", "item: column 2 \"events.aid\""),
    Case(
      "Steam",
      "{u'username': u'u', u'product_id': u'b', u'date': u'2017-12-18', u'early_access': False, u'x': None}\n"
        + "{'username': 'u', 'product_id': \"a\", 'date': '2017-12-17', 'tags': ('q', 'r',),}\n", gives: "u: a b",
      "read as: Python dictionaries"),
    Case("an array over several lines", "[\n {\"user\": 1,\n  \"item\": \"a\"},\n {\"user\": 1, \"item\": \"b\"}\n]\n", gives: "1: a b"),
    Case("objects over several lines", "{\n \"user\": 1,\n \"item\": \"a\"}\n{\n\"user\": 1, \"item\": \"b\"}\n", gives: "1: a b"),
    Case(
      "lists", "{\"user\": \"u\", \"items\": [\"a\", 7, \"\\u00e9\"]}\n{\"user\": \"v\", \"items\": [\"a\"]}\n", gives: "u: a 7 é; v: a"),
    Case("nested keys", "{\"user\":{\"id\":\"u\"},\"item\":{\"id\":\"a\"},\"t\":1}\n", gives: "u: a", "item: column 2 \"item.id\""),
    Case(
      "keys in keys", "{\"data\":{\"user_id\":\"u\",\"item_id\":\"a\"}}\n{\"data\":{\"user_id\":\"u\",\"item_id\":\"b\"}}\n",
      gives: "u: a b"),
    Case("one object with all", "{\"rows\":[{\"user\":\"u\",\"item\":\"a\"},{\"user\":\"u\",\"item\":\"b\"}]}", gives: "u: a b"),
    Case("unknown keys", "{\"kunde\":\"u\",\"ware\":\"a\"}\n", refused: "--columns item=NAME"),
    Case("an empty array", "[]", refused: "data.txt"),
  ]

  @Test(arguments: objects) func object(_ file: Case) throws { try check(file) }

  /// One damaged line among good ones is a bad row, whatever is wrong with it.
  @Test(arguments: [
    "{\"user\":\"u\",\"item\":\"a\"", "{\"user\":\"u\",\"item\":\"a\"} x", "{\"user\":\"u\",\"item\":\"\\q\"}", "[1,2]", "{\"user\":\"u\"}",
    "{\"user\":\"u\",\"item\":\"a\",\"item\":\"b\"}", "{\"user\":null,\"item\":\"a\"}", "{\"user\":\"u\",\"item\":{}}",
    "{\"user\":\"u\",\"item\":[\"a\"]}", "{\"user\":\"u\",\"item\":\"\\ud800\"}", "{\"user\":12ab,\"item\":\"a\"}",
    "{'user':'u','item':'a'}",
  ])
  func badLine(_ line: String) throws {
    let good = (0..<20).map { "{\"user\":\"u\",\"item\":\"i\($0)\"}\n" }
    let text = good[..<10].joined() + line + "\n" + good[10...].joined()
    let failure = failure { try load(text: text) }
    #expect(failure.exitCode == .badData && failure.message.contains("data.txt:11: "), "\(failure.message)")
    let loaded = try load(text: text, skipBadRows: true)
    #expect(loaded.histories == [History("u", (0..<20).map { "i\($0)" })])
    #expect(loaded.statistics.droppedRows.values.reduce(0, +) == 1)
  }

  /// Of an object's events those that can be read are kept, once all of the object is known to be one.
  @Test func events() throws {
    let lines = [
      #"{"events":[{"ts":1661724000300,"aid":"\u00e9\"1"},{"aid":2,"ts":1661724000200}],"session":"\u0075"}"#,
      #"{"session":"v","events":[{"aid":3,"ts":1661724000100},7,{"aid":4,"ts":1661724000101},{"aid":5,"aid":6,"ts":1},{"aid":null,"ts":2}]}"#,
      #"{"session":"w","events":[{"aid":3,"ts":1661724000100},{"aid":4,"ts":1661724000101}"#,
      #"{"session":"x","events":[{"aid":3,"ts":1661724000100}],"events":[{"aid":4,"ts":1661724000101}]}"#,
      #"{"session":"y","events":[]}"#, #"{"session":"z"}"#, #"{"session":"a","events":[{"aid":3,"ts":1661724000100}]} 1"#,
      #"{"session":"b","events":[{"aid":9,"ts":1661724000100}]},"#,
    ]
    let loaded = try load(text: lines.joined(separator: "\n") + "\n", skipBadRows: true)
    #expect(loaded.histories == [History("u", ["2", "é\"1"]), History("v", ["3", "4"]), History("b", ["9"])], "\(loaded.histories)")
    #expect(
      loaded.statistics.droppedRows == ["no object": 3, "a duplicate key": 2, "missing item (NA, null, ...)": 1, "empty id": 1],
      "\(loaded.statistics.droppedRows)")
    let python = "{'session': 1, 'events': ({'aid': u'a', 'ts': 1661724000100}, {'aid': 'b', 'ts': 1661724000090},)}\n"
    #expect(try load(text: python).histories == histories("1: b a"))
  }

  /// Names of columns that published data and shops have.
  @Test(arguments: [
    "video_id", "venue_id", "poi_id", "location_id", "anime_id", "app_id", "artist_id", "news_id", "isbn", "query_id", "sku", "StockCode",
    "product_id", "productId", "movieId", "asin", "parent_asin", "article_id", "track_id", "business_id", "itemid",
  ]) func itemsByName(_ name: String) throws {
    #expect(try load(text: "\(name),user_id\na,u\nb,u\n").histories == histories("u: a b"))
  }

  @Test(arguments: [
    "client_id", "account_id", "user_idx", "customer", "buyer_id", "customer_id", "visitorid", "reviewerID", "userId", "member_id",
    "username", "session_id",
  ]) func usersByName(_ name: String) throws {
    #expect(try load(text: "item_id,\(name)\na,u\nb,u\n").histories == histories("u: a b"))
  }

  /// Values that stand where one is missing make no user and no item.
  @Test(arguments: ["NA", "N/A", "null", "NULL", "None", "NaN", "nan", "\\N", "<NA>"]) func missing(_ word: String) throws {
    let good = (0..<10).map { "u,i\($0)\n" }.joined()
    let users = try load(text: "user,item\n" + good + "\(word),x\n", skipBadRows: true)
    #expect(users.histories.map(\.user) == ["u"])
    #expect(users.statistics.droppedRows == ["missing user (NA, null, ...)": 1])
    let items = try load(text: "user,item\n" + good + "v,\(word)\n", skipBadRows: true)
    #expect(items.histories.map(\.user) == ["u"] && items.statistics.droppedRows == ["missing item (NA, null, ...)": 1])
    #expect(failure { try load(text: "user,item\n" + good + "v,\(word)\n") }.exitCode == .badData)
  }

  @Test func backslashQuotesThatComeLateAreNamed() throws {
    let text = "user,item\n" + (0..<300).map { "u,i\($0)\n" }.joined() + "u,\"a \\\"b\\\" c\"\n"
    let loaded = try load(text: text)
    #expect(loaded.statistics.droppedRows.keys.contains { $0.contains("--format csv-backslash") })
    #expect(try load(text: text, format: .backslashCSV).histories[0].items.last == "a \"b\" c")
  }

  @Test func duplicatesAndRepeatsAreCounted() throws {
    let text = "user,item,time\nu,a,1\nu,a,1\nu,b,2\nu,a,3\nv,a,1\nv,b,2\nv,c,3\nw,a,1\nw,a,2\n"
    let statistics = try load(text: text).statistics
    #expect(statistics.duplicates == 1 && statistics.repeats == 3 && statistics.usersEndingOnRepeat == 1)
    #expect(statistics.description.contains("exact duplicates          1 "))
    #expect(statistics.description.contains("the last item of 1 users is one"))
    #expect(try load(text: "u a\nu a\n").statistics.duplicates == nil)
    // Many rows at one time.
    let many = (0..<40).map { "u,i\($0 % 30),7\n" }.joined()
    #expect(try load(text: "user,item,time\n" + many).statistics.duplicates == 10)
  }
}
