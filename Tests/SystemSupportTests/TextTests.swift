import SystemSupport
import Testing

@Suite struct TextTests {
  @Test func escapesOfTSV() {
    let id = Array("a\tb\\n\r\n\\".utf8) + [0xFF, 0]
    #expect(TSVText.escape(id[...]) == Array("a\\tb\\\\n\\r\\n\\\\".utf8) + [0xFF, 0])
    #expect(TSVText.unescape(TSVText.escape(id[...])) == id)
    for bad in ["\\", "a\\x", "tab\there", "\\\\\\"] { #expect(TSVText.unescape(Array(bad.utf8)) == nil) }
  }

  @Test func decimals() {
    for (value, places, text) in [
      (1.5, 2, "1.50"), (-1.5, 0, "-2"), (0.0049, 2, "0.00"), (-0.0049, 2, "0.00"), (0.995, 1, "1.0"), (12345.678, 1, "12345.7"),
      (0.05, 4, "0.0500"), (.nan, 2, "nan"), (-.infinity, 2, "-inf"), (1e300, 2, "1e+300"), (3, 0, "3"),
    ] {
      #expect(DecimalText.fixed(value, places) == text)
    }
    for (value, least, text) in [
      (1.5, 0, "1.5"), (2, 0, "2"), (2, 1, "2.0"), (100, 0, "100"), (0.12345, 0, "0.123"), (-0.0001, 0, "0"), (-0.0001, 1, "0.0"),
      (1e300, 0, "1e+300"), (.infinity, 1, "inf"), (10.25, 1, "10.25"),
    ] {
      #expect((least == 0 ? DecimalText.short(value, upTo: 3) : DecimalText.rounded(value, 3)) == text)
    }
  }

  @Test func theMiddleOne() {
    #expect([3, 1, 2].median == 2)
    #expect([4, 1, 2, 3].median == 3)
    #expect([7].median == 7)
  }
}
