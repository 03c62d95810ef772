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

  /// With at most so many decimals, without the zeros at their end: "1.5", "2"; or "2.0" where one is to stay.
  package static func short(_ value: Double, upTo places: Int, atLeast least: Int = 0) -> String {
    var text = fixed(value, places)
    guard let point = text.lastIndex(of: "."), !text.contains("e") else { return text }
    let end = text.index(point, offsetBy: least == 0 ? 1 : least + 1)
    while text.endIndex > end, text.last == "0" { text.removeLast() }
    if text.last == "." { text.removeLast() }
    return text
  }

  private static func scale(_ places: Int) -> Double { (0..<places).reduce(1) { scale, _ in scale * 10 } }
}
