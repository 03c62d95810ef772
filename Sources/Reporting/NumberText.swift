import SystemSupport

/// Numbers as people read them.
package enum NumberText {
  /// With a fixed number of decimals, and a typographer's minus.
  package static func fixed(_ value: Double, _ decimals: Int) -> String {
    let text = DecimalText.fixed(value, decimals)
    return text.hasPrefix("-") ? "\u{2212}" + text.dropFirst() : text
  }

  /// 1234567 as 1,234,567.
  static func grouped(_ value: Int) -> String {
    let digits = String(value.magnitude)
    var text = ""
    for (index, digit) in digits.enumerated() {
      if index > 0 && (digits.count - index) % 3 == 0 { text += "," }
      text.append(digit)
    }
    return (value < 0 ? "\u{2212}" : "") + text
  }

  /// About four significant digits, in whatever notation is short: 1,234, 12.35, 0.001235, 1.2e-6.
  package static func short(_ value: Double) -> String {
    guard value.isFinite else { return "\(value)" }
    let size = value.magnitude
    if size >= 1e12 { return scientific(value) }
    if size >= 1000 { return grouped(Int(value.rounded())) }
    if size >= 100 { return fixed(value, 1) }
    if size >= 10 { return fixed(value, 2) }
    if size >= 0.1 || size == 0 { return fixed(value, 4) }
    if size >= 1e-4 { return fixed(value, 6) }
    return scientific(value)
  }

  /// A mark on an axis whose marks are `step` apart.
  package static func mark(_ value: Double, step: Double) -> String {
    if value == 0 { return "0" }
    let largest = max(value.magnitude, step)
    if largest >= 1e12 || largest < 1e-4 { return scientific(value) }
    // Four digits are still read at once: 1500, not 1.5k.
    for (scale, letter) in [(1e9, "G"), (1e6, "M"), (1e3, "k")] where largest >= (scale == 1e3 ? 1e4 : scale) {
      return fixed(value / scale, decimals(step / scale)) + letter
    }
    return fixed(value, decimals(step))
  }

  /// Decimals that tell multiples of a step apart.
  private static func decimals(_ step: Double) -> Int {
    var (step, count) = (step, 0)
    while count < 6 && (step - step.rounded()).magnitude > 1e-6 * max(1, step) {
      step *= 10
      count += 1
    }
    return count
  }

  private static func scientific(_ value: Double) -> String {
    guard value != 0, value.isFinite else { return "\(value)" }
    var (mantissa, exponent) = (value, 0)
    while mantissa.magnitude >= 10 { (mantissa, exponent) = (mantissa / 10, exponent + 1) }
    while mantissa.magnitude < 1 { (mantissa, exponent) = (mantissa * 10, exponent - 1) }
    let digits = fixed(mantissa, 1)
    return (digits.hasSuffix(".0") ? String(digits.dropLast(2)) : digits) + "e" + (exponent < 0 ? "\u{2212}" : "") + "\(exponent.magnitude)"
  }

  /// Seconds, minutes or hours.
  static func duration(minutes: Double) -> String {
    let seconds = minutes * 60
    if seconds < 100 { return fixed(seconds, 1) + " s" }
    if minutes < 100 { return fixed(minutes, 1) + " min" }
    return fixed(minutes / 60, 1) + " h"
  }
}
