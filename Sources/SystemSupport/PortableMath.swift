/// exp, log and cosine that give the same bits on every system. The C library's differ between its versions and between processors,
/// and what they give here becomes parameters, losses and metrics. Nothing but IEEE 754's exact operations is used, and Swift fuses
/// none of them by itself.
package enum PortableMath {
  private static let ln2High = 0x1.62e42fee00000p-1  // the leading 33 bits of ln 2, so that its products with exponents are exact
  private static let ln2Low = 0x1.a39ef35793c76p-33

  /// At most 2 ulp off for results that are normal numbers.
  package static func exp(_ x: Double) -> Double {
    if x.isNaN { return x }
    if x > 709.78 { return .infinity }
    if x < -708.39 { return 0 }
    // x = k ln 2 + r, |r| <= ln 2 / 2
    let k = (x * 0x1.71547652b82fep+0).rounded(.toNearestOrEven)
    let r = (x - k * ln2High) - k * ln2Low
    // Taylor's series to r^13 / 13!, whose rest is below 2^-57.
    var sum = 1.0
    for n in stride(from: 13.0, through: 1, by: -1) { sum = 1 + r / n * sum }
    // In two steps, since 2^1024 is no number.
    let half = (k / 2).rounded(.down)
    return sum * power(Int(half)) * power(Int(k - half))
  }

  /// 2^n for -1022 <= n <= 1023.
  private static func power(_ n: Int) -> Double { Double(bitPattern: UInt64(n + 1023) << 52) }

  /// The natural logarithm, at most 2 ulp off. -infinity for 0, NaN below.
  package static func log(_ x: Double) -> Double {
    if x.isNaN || x < 0 { return .nan }
    if x == 0 { return -.infinity }
    if x == .infinity { return x }
    // x = 2^k m, √½ <= m < √2
    var (k, m) = (Double(x.exponent), x.significand)
    if m > 0x1.6a09e667f3bcdp+0 { (k, m) = (k + 1, m / 2) }
    // log m = log1p f = f - (f² / 2 - s (f² / 2 + R)), s = f / (2 + f), z = s², R = 2 (z / 3 + z² / 5 + z³ / 7 + ...)
    let f = m - 1
    let s = f / (2 + f)
    let z = s * s
    var series = 0.0
    for n in stride(from: 25.0, through: 3, by: -2) { series = z * (1 / n + series) }
    let halfSquare = f * f / 2
    return k * ln2High - ((halfSquare - (s * (halfSquare + 2 * series) + k * ln2Low)) - f)
  }

  /// The logarithm to base 2; exact for powers of 2.
  package static func log2(_ x: Double) -> Double {
    if x.isNormal && x > 0 && x.significand == 1 { return Double(x.exponent) }
    return log(x) * 0x1.71547652b82fep+0
  }

  /// Cosine and sine of 2π `turns`, at most 2^-52 off, for turns from 0 up to 1.
  package static func cosineAndSine(turns: Double) -> (cosine: Double, sine: Double) {
    // The nearest eighth of a turn's multiple of two, exactly subtracted: an angle within ±π/4.
    let quarter = (turns * 4).rounded(.toNearestOrEven)
    let angle = (turns - quarter / 4) * (2 * Double.pi)
    let square = angle * angle
    var (cosine, sine) = (1.0, 1.0)
    for n in stride(from: 18.0, through: 2, by: -2) {
      cosine = 1 - square / ((n - 1) * n) * cosine
      sine = 1 - square / (n * (n + 1)) * sine
    }
    sine *= angle
    return switch Int(quarter) % 4 {
    case 0: (cosine, sine)
    case 1: (-sine, cosine)
    case 2: (-cosine, -sine)
    default: (sine, -cosine)
    }
  }
}
