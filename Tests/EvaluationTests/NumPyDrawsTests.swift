import Evaluation
import TestSupport
import Testing

/// Against what NumPy itself drew.
struct NumPyDrawsTests {
  let fixture: NumPyFixture
  init() throws { fixture = try NumPyFixture.load() }

  @Test func rawWords() {
    #expect(!fixture.raw.isEmpty)
    for expected in fixture.raw {
      var generator = MersenneTwister(seed: expected.seed)
      let first = (0..<expected.first.count).map { _ in generator.next() }
      #expect(first == expected.first)
      generator = MersenneTwister(seed: expected.seed)
      for _ in 0..<1246 { _ = generator.next() }
      let later = (0..<expected.later.count).map { _ in generator.next() }
      #expect(later == expected.later)
    }
  }

  @Test func randomSample() {
    #expect(!fixture.samples.isEmpty)
    for expected in fixture.samples {
      var state = NumPyRandomState(seed: expected.seed)
      let values = expected.values.map { _ in state.randomSample() }
      #expect(values == expected.values.compactMap(Double.init))
    }
  }

  @Test func randomIntegersOneByOne() {
    #expect(!fixture.integers.isEmpty)
    for expected in fixture.integers {
      var state = NumPyRandomState(seed: expected.seed)
      let values = expected.values.map { _ in state.randomInteger(from: expected.low, to: expected.high) }
      let next = state.randomSample()
      #expect(values == expected.values)
      #expect(next == Double(expected.next), "\(expected.low) ..< \(expected.high)")
    }
  }

  /// The shortcut and the whole sums give NumPy's choices, and leave the generator where NumPy leaves it.
  @Test(arguments: [false, true])
  func weightedChoices(alwaysExact: Bool) {
    #expect(!fixture.choices.isEmpty)
    for expected in fixture.choices {
      // Three numbers stand for n, power and scale of a longer list; no other list is as short.
      var counts = expected.counts
      if counts.count == 3 {
        counts = (1...counts[0]).map { rank in
          max(1, expected.counts[2] / (0..<expected.counts[1]).reduce(1) { product, _ in product * rank })
        }
      }
      let sum = counts.reduce(0, +)
      let choice = WeightedChoice(
        probabilities: counts.map { Double($0) / Double(sum) }, alwaysExact: alwaysExact)
      var state = NumPyRandomState(seed: expected.seed)
      var drawn: [Int] = []
      for values in expected.drawn {
        choice.draw(expected.size, from: &state, into: &drawn)
        #expect(drawn == values)
      }
      let next = state.randomSample()
      #expect(next == Double(expected.next))
    }
  }

  /// A long comparison of the shortcut with the whole sums, over skews and sizes, some with unreachable items in
  /// between.
  @Test(arguments: [(11, 8), (102, 101), (700, 101), (3001, 60)])
  func shortcutGivesTheSameDraws(count: Int, size: Int) {
    var random = SeededGenerator(seed: UInt64(count))
    for power in [1.0, 6.0, 30.0] {
      let weights = (0..<count).map { _ in Int64(1e12 * .random(in: 0..<1, using: &random).raised(to: power)) + 1 }
      let sum = weights.reduce(0, +)
      let probabilities = weights.map { Double($0) / Double(sum) }
      let (quick, exact) = (
        WeightedChoice(probabilities: probabilities), WeightedChoice(probabilities: probabilities, alwaysExact: true)
      )
      var (quickState, exactState) = (NumPyRandomState(seed: 9), NumPyRandomState(seed: 9))
      var (quickDrawn, exactDrawn): ([Int], [Int]) = ([], [])
      for _ in 0..<40 {
        quick.draw(size, from: &quickState, into: &quickDrawn)
        exact.draw(size, from: &exactState, into: &exactDrawn)
        #expect(quickDrawn == exactDrawn)
        #expect(Set(quickDrawn).count == size)
      }
      let words = (quickState.nextWord(), exactState.nextWord())
      #expect(words.0 == words.1)
      if power == 1 { #expect(quick.exactPassCount * 4 < exact.exactPassCount) }
    }
  }
}

extension Double {
  fileprivate func raised(to power: Double) -> Double {
    var result = 1.0
    for _ in 0..<Int(power) { result *= self }
    return result
  }
}
