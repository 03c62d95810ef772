import SystemSupport
import Testing

@Suite struct JSONTests {
  @Test func readsWhatItWrites() throws {
    let value = JSON.object([
      JSON.Member("text", .string("\"\\\n\r\t\u{0}\u{1F}é𝄞/")), JSON.Member("empty", .object([])),
      JSON.Member("list", .array([.null, .bool(true), .bool(false), .integer(-12), .double(1e-300), .array([])])),
      JSON.Member("large", .integer(UInt64.max)),
    ])
    #expect(try JSON.parse(Array(value.line.utf8)) == value)
    #expect(try JSON.parse(Array(value.pretty.utf8)) == value)
    #expect(try JSON.parse(Array(value.spacedLine.utf8)) == value)
    #expect(!value.line.contains("\n") && !value.spacedLine.contains("\n"))
  }

  @Test func threeStyles() {
    let value: JSON = ["a": .array([.integer(1), .string("x")]), "b": [:], "c": ["d": .null]]
    #expect(value.line == #"{"a":[1,"x"],"b":{},"c":{"d":null}}"#)
    #expect(value.spacedLine == #"{"a": [1, "x"], "b": {}, "c": {"d": null}}"#)
    #expect(value.pretty == "{\n  \"a\": [1, \"x\"],\n  \"b\": {},\n  \"c\": {\n    \"d\": null\n  }\n}")
  }

  @Test func fieldsSayWhichIsWrong() throws {
    let json = try JSON.parse(Array(#"{"a":-1,"b":{"c":"x","d":1},"e":1e999}"#.utf8))
    let fields = JSONFields(json, path: "some.json")
    #expect(try fields.int("a") == -1 && fields.fields("b").string("c") == "x" && fields.has("e"))
    #expect(try fields.each("b") { (_, key) throws(ProgramFailure) in key } == ["c": "c", "d": "d"])
    let wrong: [(String, () throws(ProgramFailure) -> Void)] = [
      ("a", { () throws(ProgramFailure) in _ = try fields.count("a") }),
      ("b.d", { () throws(ProgramFailure) in _ = try fields.fields("b").string("d") }),
      ("b.d", { () throws(ProgramFailure) in _ = try fields.each("b") { (field, key) throws(ProgramFailure) in try field.string(key) } }),
      ("e", { () throws(ProgramFailure) in _ = try fields.double("e") }),
      ("none", { () throws(ProgramFailure) in _ = try fields.unsigned("none") }),
      ("a", { () throws(ProgramFailure) in _ = try fields.fields("a") }),
    ]
    for (name, read) in wrong {
      let failure = #expect(throws: ProgramFailure.self) { try read() }
      #expect(failure == ProgramFailure(.badData, "some.json: \"\(name)\" is missing or not of its type"))
    }
  }

  @Test func numbersKeepTheirValue() throws {
    for value in [Double.leastNonzeroMagnitude, 0.1, 1 / 3.0, 1.7976931348623157e308, -0.0, 1e16, 12345678.9] {
      #expect(try JSON.parse(Array(JSON.double(value).line.utf8)).double == value)
    }
    #expect(JSON.double(0.1).line == "0.1")
    #expect(JSON.double(.nan).line == "null")
    #expect(JSON.double(-.infinity).line == "null")
  }

  @Test func readsEscapes() throws {
    #expect(try JSON.parse(Array(#" "\u00e9\ud834\udd1e\/\b\f" "#.utf8)).string == "é𝄞/\u{8}\u{C}")
  }

  @Test(arguments: [
    "", " ", "{", "[1,", "[1,]", "{\"a\":1,}", "{\"a\":1,\"a\":2}", "{a:1}", "{\"a\" 1}", "01", "1.", ".5", "+1", "1e",
    "-", "tru", "nul", "\"", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"\n\"", "1 2",
    "[1] x", String(repeating: "[", count: 100_000),
  ])
  func refuses(text: String) {
    #expect(throws: JSONError.self) { try JSON.parse(Array(text.utf8)) }
  }

  @Test func refusesWhatIsNotUTF8() {
    #expect(throws: JSONError.self) { try JSON.parse([0x22, 0xFF, 0x22]) }
  }
}
