import InteractionData
import TestSupport
import Testing

/// Keys are recognised by what stood in their place in the object before: whatever order and form they have in the next one,
/// the same interactions come out.
@Suite struct ObjectKeysTests {
  private typealias Member = (name: String, value: String)

  private static func shuffled(_ members: [Member], _ random: inout SeededGenerator) -> String {
    func space() -> String { random.next() % 4 == 0 ? String(repeating: " ", count: Int(random.next() % 20)) : "" }
    func key(_ name: String) -> String {
      // Escaped, the same key.
      guard random.next() % 6 == 0, let first = name.unicodeScalars.first else { return name }
      let digits = String(first.value, radix: 16)
      return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits + name.dropFirst()
    }
    let written = members.shuffled(using: &random).map { "\(space())\"\(key($0.name))\"\(space()):\(space())\($0.value)\(space())" }
    return "{" + written.joined(separator: ",") + "}"
  }

  /// Keys that begin alike, that are longer than what is remembered, and members that come and go.
  private static func others(_ random: inout SeededGenerator) -> [Member] {
    let all: [Member] = [
      ("item_id_of_another_shop", "7"), ("item", "[1, 2]"), ("item_i", "null"), ("item_id2", "\"x\""), ("", "1.5"),
      ("t", "{\"item_id\": 4}"),
    ]
    return all.filter { _ in random.next() % 2 == 0 }
  }

  @Test func objectsOfAnyOrder() throws {
    var random = SeededGenerator(seed: 1)
    var (text, expected) = ("", [String]())
    for number in 0..<3_000 {
      let id = random.next() % 3 == 0 ? "\(number)" : "\"\(number)\""
      expected.append("\(number)")
      let members: [Member] = [("user_id", "\"u\""), ("item_id", id), ("timestamp", "\(1_600_000_000 + number)")]
      text += Self.shuffled(members + Self.others(&random), &random) + (number == 2_999 ? "" : "\n")
    }
    #expect(try load(text: text, columns: "user=user_id,item=item_id").histories == [History("u", expected)])
  }

  @Test func eventsOfAnyOrder() throws {
    var random = SeededGenerator(seed: 2)
    var (text, expected, number) = ("", [History](), 0)
    for user in 0..<400 {
      var (events, items) = ([String](), [String]())
      for _ in 0..<(1 + random.next() % 12) {
        number += 1
        items.append("\(number)")
        events.append(
          Self.shuffled([("item_id", "\(number)"), ("timestamp", "\(1_600_000_000 + number)")] + Self.others(&random), &random))
      }
      let list = "[" + events.joined(separator: ",") + "]"
      text += Self.shuffled([("user_id", "\(user)"), ("events", list)], &random) + (user == 399 ? "" : "\n")
      expected.append(History("\(user)", items))
    }
    #expect(try load(text: text, columns: "user=user_id,item=events.item_id,time=events.timestamp").histories == expected)
  }

  /// A key that is given twice is refused where it was known, too.
  @Test func aKeyTwice() throws {
    let good = "{\"user\":1,\"item\":2,\"timestamp\":1600000000}\n"
    let loaded = try load(
      text: String(repeating: good, count: 300) + "{\"user\":1,\"item\":2,\"timestamp\":1600000000,\"item\":3}\n"
        + "{\"user\":1,\"item\":2,\"item\":3}\n")
    #expect(loaded.statistics.interactions == 300)
    #expect(loaded.said.contains("a duplicate key"))
  }
}
