/// Numbers for people, with few decimals; files have all digits.
package enum DecimalText {
  /// With so many decimals: "1.50".
  package static func fixed(_ value: Double, _ places: Int) -> String {
    let scale = scale(places)
    let scaled = (value.magnitude * scale).rounded()
    // Also false for what is no number.
    guard scaled < 0x1p53 else { return "\(value)" }
    let (whole, fraction) = Int64(scaled).quotientAndRemainder(dividingBy: Int64(scale))
    let sign = value < 0 && scaled > 0 ? "-" : ""
    if places == 0 { return "\(sign)\(whole)" }
    let digits = String(fraction)
    return "\(sign)\(whole)." + String(repeating: "0", count: places - digits.count) + digits
  }

  /// With at most so many decimals, without the zeros at their end: "1.5", "2".
  package static func short(_ value: Double, upTo places: Int) -> String { trimmed(value, places, keeping: 0) }

  /// The same, but for the first decimal, which says that the number is none of those that count something: "1.5", "2.0".
  package static func rounded(_ value: Double, _ places: Int) -> String { trimmed(value, places, keeping: 1) }

  private static func trimmed(_ value: Double, _ places: Int, keeping least: Int) -> String {
    var text = fixed(value, places)
    guard let point = text.lastIndex(of: "."), !text.contains("e") else { return text }
    let end = text.index(point, offsetBy: least + 1)
    while text.endIndex > end, text.last == "0" { text.removeLast() }
    if text.last == "." { text.removeLast() }
    return text
  }

  private static func scale(_ places: Int) -> Double { (0..<places).reduce(1) { scale, _ in scale * 10 } }
}
