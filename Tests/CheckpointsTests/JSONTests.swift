import Checkpoints
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
    #expect(!value.line.contains("\n"))
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
