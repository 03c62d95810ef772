import InteractionData
import SystemSupport
import Testing

/// What `--format`, `--columns` and `--time-format` overrule.
@Suite struct ChoiceTests {
  @Test func columnsByName() throws {
    let text = "wann,kunde,ware,zeit\n2021-05-03,u,c,1\n2021-05-01,u,a,2\n2021-05-02,u,b,3\n"
    #expect(try load(text: text, columns: "user=kunde,item=ware,time=wann").histories == histories("u: a b c"))
    #expect(try load(text: text, columns: "user=kunde,item=ware").histories == histories("u: a b c"))
    #expect(try load(text: text, columns: "user=kunde,item=ware,time=zeit").histories == histories("u: c a b"))
    #expect(try load(text: text, columns: "user=KUNDE, item=3 ,time=none").histories == histories("u: c a b"))
    #expect(try load(text: text, columns: "session=ware,item=kunde").histories.count == 3)
    let absent = failure { try load(text: text, columns: "user=wer,item=ware") }
    #expect(absent.exitCode == .badData && absent.message.contains("column 2 \"kunde\" (\"u\")"), "\(absent.message)")
  }

  @Test func columnsByNumber() throws {
    let text = "5,u,1,a\n4,u,1,b\n"
    #expect(try load(text: text, columns: "user=2,item=4").histories == histories("u: a b"))
    #expect(try load(text: text, columns: "user=2,item=4,time=1").histories == histories("u: b a"))
    #expect(failure { try load(text: text, columns: "user=2,item=9") }.exitCode == .badData)
    #expect(failure { try load(text: text, columns: "user=2,item=2") }.exitCode == .usage)
    // Words above numbers are a header, unless there is none.
    let words = "wer was zeit\n1 2 5\n1 3 4\n"
    #expect(try load(text: words, columns: "user=1,item=2,time=3").histories == histories("1: 3 2"))
    #expect(try load(text: "wer was\n1 2\n", columns: "user=1,item=2,header=none").histories.count == 2)
    // What detection refuses.
    #expect(try load(text: "user,item\nu,3.25\n", columns: "item=item").histories == histories("u: 3.25"))
    #expect(try load(text: "7 3 6 9\n7 4 6 8\n", columns: "user=1,item=2,time=4").histories == histories("7: 4 3"))
  }

  @Test func namesInJSON() throws {
    let text = "{\"who\":\"u\",\"did\":[{\"what\":\"b\",\"at\":2},{\"what\":\"a\",\"at\":1}]}\n"
    #expect(try load(text: text, columns: "user=who,item=what,time=did.at").histories == histories("u: a b"))
    #expect(try load(text: text, columns: "user=who,item=did.what,time=none").histories == histories("u: b a"))
  }

  @Test(arguments: ["user", "user=", "person=1", "user=1,user=2", "user=1,session=2", "item=none", "header=1"])
  func wrongChoices(_ text: String) {
    let failure = failure { try ColumnChoice(text, origin: "--columns") }
    #expect(failure.exitCode == .usage && failure.message.hasPrefix("--columns: "))
  }

  /// Objects without members have no first column either.
  @Test(arguments: ["{}\n{}\n", "[{}, {}]"]) func columnsOfNothing(text: String) {
    for columns in ["item=1", "user=1,item=2", "time=3"] {
      #expect(failure { try load(text: text, format: .json, columns: columns) }.exitCode == .badData)
    }
  }

  /// What a message names is no danger to a terminal, and can be given as it stands there.
  @Test func namesThatNeedQuotes() throws {
    let object = "{\"user\": 1, \"a\u{1B}[2J\": [{\"item\": 1, \"ts\": 1600000000}]}\n"
    let said = try load(text: object).said
    #expect(said.contains("an interaction per object of \"a\\x1B[2J\"") && !said.contains("\u{1B}"), "\(said)")
    let times = "user_id,item_id,order date,review date\nu,a,2021-05-03,2021-05-09\nu,b,2021-05-01,2021-05-10\n"
    #expect(failure { try load(text: times) }.message.contains("--columns time=3 (data_columns)"))
    #expect(try load(text: times, columns: "time=3").histories == histories("u: b a"))
  }

  @Test func formats() throws {
    #expect(try load(text: "7 3 6 9\n8 1 2 3\n", format: .lists).histories == histories("7: 3 6 9; 8: 1 2 3"))
    #expect(try load(text: "u\ta b\tc\n", format: .lists).histories == [History("u", ["a b", "c"])])
    #expect(try load(text: "u,a,b\nv,c,d\n", format: .lists).histories == histories("u: a b; v: c d"))
    #expect(try load(text: "u [1, 2]\n", format: .lists).histories == histories("u: 1 2"))
    #expect(try load(text: "u1\ti1 i2\n", format: .pairs).histories == [History("u1", ["i1 i2"])])
    #expect(try load(text: "u a,b c\n", format: .csv).histories == [History("u a", ["b c"])])
    #expect(try load(text: "u,a\tb,c\n", format: .tsv).histories == [History("u,a", ["b,c"])])
    #expect(try load(text: "u;a,b\nu;c,d\n", format: .semicolons).histories == [History("u", ["a,b", "c,d"])])
    #expect(try load(text: "{'user': 'u', 'item': 3}\n", format: .python).histories == histories("u: 3"))
    #expect(failure { try load(text: "u,a\n", format: .json) }.exitCode == .badData)
    #expect(failure { try load(text: "u,a\n", format: .tsv) }.exitCode == .badData)
    #expect(failure { try load(text: "u,a\n", format: .netflix) }.exitCode == .badData)
    #expect(failure { try DataFormat.named("excel", origin: "--format") }.message.contains("csv-backslash"))
  }

  @Test(arguments: [
    ("%m/%d/%Y %H:%M", "12/13/2010 8:26", "12/1/2010 18:26"), ("%d/%m/%y", "13/12/10", "1/12/10"),
    ("%d-%b-%Y", "13-Dec-2010", "01-Dec-2010"),
    ("%Y%j", "2010347", "2010335"), ("%m/%d/%Y %I:%M:%S %p", "12/01/2010 01:00:00 PM", "12/01/2010 11:00:00 AM"),
    ("%Y.%m.%dT%T%z", "2010.12.13T00:00:00+0100", "2010.12.12T22:59:59Z"), ("[%s]", "[9]", "[8]"),
    ("%F %T.%f", "2010-12-13 00:00:00.25", "2010-12-13 00:00:00.125"),
  ])
  func timeFormats(_ pattern: String, _ late: String, _ early: String) throws {
    let text = "user;item;wann\nu;b;\(late)\nu;a;\(early)\n"
    #expect(try load(text: text, columns: "time=wann", times: pattern).histories == histories("u: a b"))
    #expect(try load(text: text, times: pattern).histories == histories("u: a b"))
    #expect(try load(text: "u;b;\(late)\nu;a;\(early)\n", times: pattern).histories == histories("u: a b"))
  }

  @Test(arguments: ["%Q", "%", "%H:%M", "%Y", "%d %m"]) func wrongTimeFormats(_ pattern: String) {
    #expect(failure { try TimePattern(pattern, origin: "--time-format") }.exitCode == .usage)
  }

  @Test(arguments: [
    "Tue Apr  3 18:00:09 2012", "Tue, 03 Apr 2012 18:00:09 GMT", "3 April 2012 18:00:09", "Tue Apr 03 20:00:09 +0200 2012",
    "2012-04-03 18:00:09 UTC", "2012-04-03T13:00:09 EST", "03.04.2012 18:00:09", "20120403180009", "1333476009",
  ])
  func writtenTimes(_ time: String) throws {
    // Between its neighbours to the second.
    let text = "user,item,time\nu,b,\"\(time)\"\n"
    let around = try Scratch()
    let before = try around.write("user,item,time\nu,a,2012-04-03T18:00:08Z\n", "a.csv")
    let after = try around.write("user,item,time\nu,c,2012-04-03T18:00:10Z\n", "c.csv")
    #expect(try load(after, around.write(text, "b.csv"), before).histories == histories("u: a b c"))
  }

  @Test func filters() throws {
    let text =
      "user,item,rating,event,time\nu,a,5,view,1600000000\nu,a,5,view,1600000000\nu,b,2,buy,1600000100\nu,b,4,buy,1600000200\n"
      + "v,a,3,view,1600000300\nv,c,5,cart,1600000400\n"
    func run(_ change: (inout InteractionFilters) -> Void) throws -> Loaded {
      var filters = InteractionFilters()
      change(&filters)
      return try load(text: text, filters: filters)
    }
    let rated = try run { $0.minimumRating = 4 }
    #expect(rated.histories == histories("u: a a b; v: c"))
    #expect(rated.statistics.filteredRows == ["rows below --min-rating": 2])
    #expect(rated.statistics.description.contains("rows filtered             2 (2 rows below --min-rating)"))
    #expect(try run { $0.events = ["view", "cart"] }.histories == histories("u: a a; v: a c"))
    #expect(try run { $0.before = 1_600_000_200_000_000_000 }.histories == histories("u: a a b"))
    #expect(try run { $0.after = 1_600_000_200_000_000_000 }.histories == histories("u: b; v: a c"))
    #expect(try run { $0.dropsDuplicates = true }.histories == histories("u: a b b; v: a c"))
    #expect(try run { $0.collapsesRepeats = true }.histories == histories("u: a b; v: a c"))
    #expect(try run { $0.last = 1 }.histories == histories("u: b; v: c"))
    let core = try run { ($0.minimumUserCount, $0.minimumItemCount) = (3, 2) }
    // v goes, then a and b have two each.
    #expect(core.histories == histories("u: a a b b") && core.dataset.itemCount == 2 && core.dataset.userIDs.count == 1)
    #expect(core.statistics.filteredRows == ["rows of users below --min-user-count": 2])
    #expect(failure { try run { $0.minimumUserCount = 9 } }.exitCode == .badData)
    #expect(failure { try run { $0.minimumRating = 9 } }.message.contains("none of its interactions pass the filters"))
    var filters = InteractionFilters()
    filters.minimumRating = 3
    #expect(failure { try load(text: "u a\nu b\n", filters: filters) }.message.contains("--columns rating=COLUMN"))
  }

  /// Items that go make neighbours of what stood beside them, and users short of what they need.
  @Test func theCoreHoldsForUsersAndItemsAtOnce() throws {
    var filters = InteractionFilters()
    (filters.minimumUserCount, filters.minimumItemCount) = (3, 2)
    let text = "u a\nu b\nu c\nv a\nv b\nv d\nw a\nw b\nw c\nw e\n"
    // d and e go, so v goes, then a, b and c have two each still.
    #expect(try load(text: text, filters: filters).histories == histories("u: a b c; w: a b c"))
    filters.collapsesRepeats = true
    #expect(try load(text: "u a\nu x\nu a\nu b\nu c\nv a\nv b\nv c\n", filters: filters).histories == histories("u: a b c; v: a b c"))
  }

  @Test func times() throws {
    #expect(try InteractionFilters.time("2020-09-13", origin: "--after") == 1_599_955_200_000_000_000)
    #expect(try InteractionFilters.time("1600000000", origin: "--after") == 1_600_000_000_000_000_000)
    #expect(failure { try InteractionFilters.time("soon", origin: "--after") }.exitCode == .usage)
  }
}
