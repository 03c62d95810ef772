import InteractionData
import SystemSupport
import Testing

/// Columns that cannot be items, which all rows together show: refused until the user says that they are right.
@Suite struct FoundItemsTests {
  private static let stars = ["1", "2", "3", "4", "5"]

  /// Rows of 20 users, each with 10 values of a scale, the highest the most frequent.
  private static func rows(of scale: [String], _ separator: String, users: Int = 20) -> String {
    (0..<10 * users).map { row in
      "u\(row % users)\(separator)\(scale[scale.count - 1 - (row * row / 7 + row / users) % scale.count])\n"
    }.joined()
  }

  /// Users with lists of as many ratings as they like.
  private static let lists = (0..<40).map { user in
    "u\(user)9 " + (0..<(user % 7 + 3)).map { "\(1 + (user * $0 + $0) % 5)" }.joined(separator: " ") + "\n"
  }.joined()

  struct Case: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let text: String
    /// What the refusal says, an option among it.
    let said: [String]
    /// What lets the file be read.
    var columns = ""
    var format: DataFormat?
  }

  static let refused = [
    Case(
      testDescription: "1 to 5", text: rows(of: stars, ","), said: ["5 items that look like ratings", "item=2"],
      columns: "item=2"),
    Case(
      testDescription: "0.5 to 5", text: rows(of: (1...10).map { "\(Double($0) / 2)" }, "\t"),
      said: ["10 items that look like ratings", "item=2"],
      columns: "item=2"),
    Case(testDescription: "0 to 10", text: rows(of: (0...10).map(String.init), " "), said: ["11 items", ", ...)"], columns: "item=2"),
    Case(
      testDescription: "decimal commas", text: rows(of: ["1,0", "2,0", "2,5", "5,0"], "\t"),
      said: ["look like ratings", "\"2,0\"", "item=2"],
      columns: "item=2"),
    Case(
      testDescription: "behind row numbers",
      text: rows(of: stars, ",").split(separator: "\n").enumerated().map { "\($0),\($1),1\n" }.joined(),
      said: ["look like ratings", "item=3"], columns: "user=2,item=3"),
    Case(
      testDescription: "below a header that names no item", text: "customer,note\n" + rows(of: stars, ","),
      said: ["200 of 201 interactions", "item=2"], columns: "user=customer,item=note"),
    Case(testDescription: "a line of ratings per user", text: lists, said: ["look like ratings", "--format lists"], format: .lists),
    Case(
      testDescription: "lists of ratings in brackets",
      text: lists.split(separator: "\n").map { line in
        let fields = line.split(separator: " ")
        return "\(fields[0]),\"[\(fields.dropFirst().joined(separator: ", "))]\"\n"
      }.joined(), said: ["look like ratings", "item=2"], columns: "item=2"),
    Case(
      testDescription: "one value throughout", text: rows(of: ["shop"], ","),
      said: ["200 of 200 interactions are with the one item", "item=2"],
      columns: "item=2"),
    Case(
      testDescription: "one value below a header", text: "user_id,item_id\n" + rows(of: ["7"], ","), said: ["the one item \"7\""],
      columns: "item=item_id"),
    Case(
      testDescription: "one value in JSON", text: (0..<200).map { "{\"user\":\($0 % 9),\"item\":{\"id\":\"a\"}}\n" }.joined(),
      said: ["the one item \"a\"", "item=item.id"], columns: "item=item.id"),
  ]

  @Test(arguments: refused) func refuses(_ file: Case) throws {
    let path = try Scratch().write(file.text)
    let failure = failure { try load(path) }
    #expect(failure.exitCode == .badData && failure.message.hasPrefix(path), "\(failure.message)")
    for words in file.said { #expect(failure.message.contains(words), "\(failure.message)") }
    let loaded = try load(path, format: file.format, columns: file.columns)
    #expect(loaded.statistics.interactions >= 200, "\(loaded.said)")
  }

  /// What is called an item, what is too little to tell, and small catalogues of numbers.
  @Test(arguments: [
    "user_id,item_id\n" + rows(of: stars, ","),
    "item,user\n" + (0..<200).map { "\($0 % 3),u\($0 % 20)\n" }.joined(),
    rows(of: ["1", "2", "3"], " ", users: 9),
    // Nobody has an item twice.
    (0..<160).map { "u\($0 % 20) \(1 + ($0 / 20 + $0) % 8)\n" }.joined(),
    // Ids, not a scale.
    (0..<200).map { "u\($0 % 20) \(11 + $0 * $0 % 5)\n" }.joined(),
    (0..<200).map { "{\"user\":\($0 % 20),\"item\":\(1 + $0 * $0 % 5)}\n" }.joined(),
    rows(of: ["one", "two", "three"], ","),
  ])
  func reads(_ text: String) throws {
    #expect(try load(text: text).statistics.users > 8)
  }

  /// One of several files without names is enough to doubt.
  @Test func severalFiles() throws {
    let scratch = try Scratch()
    let named = try scratch.write("user_id,item_id\n" + Self.rows(of: Self.stars, ","), "a.csv")
    let unnamed = try scratch.write(Self.rows(of: Self.stars, ","), "b.csv")
    #expect(failure { try load(named, unnamed) }.message.contains("look like ratings"))
    #expect(try load(named, named).statistics.interactions == 400)
  }

  /// Many catalogues have items of such names, so that they would be answered.
  @Test func histories() throws {
    let path = try Scratch().write(Self.rows(of: Self.stars, ","))
    let failure = failure { try Histories.read(path) { _ in } }
    #expect(failure.exitCode == .badData && failure.message.contains("look like ratings"), "\(failure.message)")
    let options = LoadingOptions(columns: try ColumnChoice("item=2", origin: "--columns"))
    #expect(try Histories.read(path, options: options) { _ in }.users.count == 20)
  }
}
