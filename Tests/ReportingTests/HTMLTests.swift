import Reporting
import Testing

@Suite struct HTMLTests {
  @Test func whatIsInterpolatedIsEscapedUnlessItIsHTML() {
    let hostile = "<script>alert('a' & \"b\")</script>\u{0}\u{1B}[31m\u{202E}"
    let inner: HTML = "<b>\(hostile)</b>"
    let outer: HTML = "<td title=\"\(hostile)\">\(inner)\([inner])\(7)</td>"
    #expect(
      inner.text
        == "<b>&lt;script&gt;alert(&#39;a&#39; &amp; &quot;b&quot;)&lt;/script&gt;\u{FFFD}\u{FFFD}[31m\u{FFFD}</b>")
    #expect(!outer.text.contains("<script"))
    #expect(outer.text.hasSuffix(inner.text + inner.text + "7</td>"))
  }

  @Test(
    arguments: [
      (0.0, 1, "0.0"), (-0.04, 1, "0.0"), (-0.05, 1, "\u{2212}0.1"), (1.005, 0, "1"), (12.3456, 4, "12.3456"), (0.99999, 4, "1.0000"),
    ] as [(Double, Int, String)]) func fixedDecimals(value: Double, decimals: Int, text: String)
  {
    #expect(NumberText.fixed(value, decimals) == text)
  }

  @Test(
    arguments: [
      (1_234_567.0, "1,234,567"), (0.00012, "0.000120"), (0.0000012, "1.2e\u{2212}6"), (3.14159, "3.1416"), (1e15, "1e15"), (0, "0.0000"),
    ] as [(Double, String)]) func shortNumbers(value: Double, text: String)
  { #expect(NumberText.short(value) == text) }

  @Test(
    arguments: [
      (0.0, 5.0, "0"), (1500, 500, "1500"), (9000, 1000, "9000"), (20_000, 5000, "20k"), (2_500_000, 500_000, "2.5M"),
      (0.0005, 0.0005, "0.0005"),
      (2.5, 0.5, "2.5"),
      (0.00002, 0.00001, "2e\u{2212}5"),
    ] as [(Double, Double, String)]) func marks(value: Double, step: Double, text: String)
  { #expect(NumberText.mark(value, step: step) == text) }
}
