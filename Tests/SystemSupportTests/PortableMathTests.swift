import Foundation
import SystemSupport
import Testing

/// The C library is the yardstick of accuracy here; the bits are held by literal values.
@Suite struct PortableMathTests {
  private func ulps(_ a: Double, _ b: Double) -> Double { a == b ? 0 : abs(a - b) / b.ulp }

  @Test func exponentials() {
    for step in -70_800...70_900 {
      let x = Double(step) / 100 + 1e-4
      #expect(ulps(PortableMath.exp(x), exp(x)) <= 2, "\(x)")
    }
    #expect(PortableMath.exp(0) == 1 && PortableMath.exp(-.infinity) == 0 && PortableMath.exp(.infinity) == .infinity)
    #expect(PortableMath.exp(-1000) == 0 && PortableMath.exp(1000) == .infinity && PortableMath.exp(.nan).isNaN)
  }

  @Test func logarithms() {
    for exponent in stride(from: -1022, through: 1023, by: 31) {
      for step in 0..<500 {
        let x = Double(sign: .plus, exponent: exponent, significand: 1 + Double(step) / 500)
        #expect(ulps(PortableMath.log(x), log(x)) <= 2, "\(x)")
      }
    }
    for step in 1..<4000 {
      let x = 1 + Double(step - 2000) / 1e7
      if x != 1 { #expect(ulps(PortableMath.log(x), log(x)) <= 2, "\(x)") }
      #expect(ulps(PortableMath.log2(Double(step)), log2(Double(step))) <= 4, "\(step)")
    }
    #expect(PortableMath.log(1) == 0 && PortableMath.log(0) == -.infinity && PortableMath.log(-1).isNaN)
    #expect(PortableMath.log(.infinity) == .infinity && ulps(PortableMath.log(.leastNonzeroMagnitude), log(.leastNonzeroMagnitude)) <= 2)
    #expect((0..<60).allSatisfy { PortableMath.log2(Double(1 << $0)) == Double($0) })
  }

  @Test func cosinesAndSines() {
    var worst = 0.0
    for step in 0..<100_000 {
      let turns = Double(step) / 100_000
      let (cosine, sine) = PortableMath.cosineAndSine(turns: turns)
      worst = max(worst, abs(cosine - cos(2 * .pi * turns)), abs(sine - sin(2 * .pi * turns)))
    }
    // The product 2π turns, which the C library is given, is rounded by up to 4.4e-16 itself.
    #expect(worst < 8e-16, "\(worst)")
    #expect(PortableMath.cosineAndSine(turns: 0.25) == (0, 1) && PortableMath.cosineAndSine(turns: 0.5) == (-1, 0))
  }
}
