import Masking
import Testing

@Suite struct KeyedRandomTests {
  /// Known answers of the Random123 distribution (kat_vectors, philox4x32 10).
  @Test func philoxGivesTheKnownAnswers() {
    #expect(
      KeyedRandom.philox(SIMD4(repeating: 0), key: SIMD2(repeating: 0))
        == SIMD4(0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8))
    #expect(
      KeyedRandom.philox(SIMD4(repeating: .max), key: SIMD2(repeating: .max))
        == SIMD4(0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd))
    #expect(
      KeyedRandom.philox(
        SIMD4(0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344), key: SIMD2(0xa409_3822, 0x299f_31d0))
        == SIMD4(0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1))
  }

  @Test func keysDoNotShareNumbers() {
    var seen: Set<UInt64> = []
    for purpose in [RandomPurpose.order, .masking, .dropout, .initialization] {
      for a in 0..<5 as Range<UInt32> {
        for b in [0, 1, 1 << 33] as [UInt64] {
          for c in 0..<5 as Range<UInt32> { seen.insert(KeyedRandom.bits64(seed: 7, purpose, a, b, c)) }
        }
      }
    }
    #expect(seen.count == 4 * 5 * 3 * 5)
  }

  @Test func boundedDrawsAreEven() {
    var stream = KeyedStream(seed: 3, .masking, 1, 2)
    var counts = [Int](repeating: 0, count: 7)
    for _ in 0..<70_000 { counts[stream.next(below: 7)] += 1 }
    // Five standard deviations of a binomial count.
    for count in counts { #expect(abs(count - 10_000) < 470) }
  }

  @Test(arguments: [1, 2, 3, 4, 5, 16, 17, 1000, 4097])
  func permutationIsOne(count: Int) {
    for epoch in 0..<3 {
      let permutation = KeyedPermutation(count: count, seed: 11, round: epoch)
      #expect(Set((0..<count).map { permutation[$0] }) == Set(0..<count))
    }
  }

  @Test func epochsAndSeedsHaveOrdersOfTheirOwn() {
    func order(_ seed: UInt64, _ epoch: Int) -> [Int] {
      let permutation = KeyedPermutation(count: 1000, seed: seed, round: epoch)
      return (0..<1000).map { permutation[$0] }
    }
    let first = order(1, 0)
    for other in [order(1, 1), order(2, 0)] {
      // A random order agrees with another one in about one place.
      #expect(zip(first, other).filter { $0 == $1 }.count < 10)
    }
    #expect(zip(first, 0..<1000).filter { $0 == $1 }.count < 10)
  }

  /// Every place gets every value about equally often.
  @Test func smallPermutationsAreUniform() {
    var counts = [[Int]](repeating: [0, 0, 0], count: 3)
    for epoch in 0..<9_000 {
      let permutation = KeyedPermutation(count: 3, seed: 5, round: epoch)
      for place in 0..<3 { counts[place][permutation[place]] += 1 }
    }
    for count in counts.flatMap({ $0 }) { #expect(abs(count - 3_000) < 230) }
  }
}
