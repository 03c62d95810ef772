import Evaluation
import InteractionData
import Testing

struct NegativeSamplerTests {
  /// Whole candidate lists, for both splits, as a plain Python sampler drew them with NumPy.
  @Test func negativesAreNumPys() throws {
    let fixture = try NumPyFixture.load()
    #expect(fixture.negatives.count == 2)
    for data in fixture.negatives {
      for split in EvaluationSplit.allCases {
        for (name, expected) in [(EvaluationProtocol.pop100, data.pop100), (.uniform100, data.uniform100)] {
          let samples = try #require(
            NegativeSampler.draw(
              name, sequences: Sequences(data.sequences), itemCounts: data.counts, split: split))
          #expect((0..<data.sequences.count).map { Array(samples[$0]) } == expected[split.rawValue], "\(name) \(split)")
        }
      }
    }
    let last = fixture.negatives[1]
    let popular = try #require(
      NegativeSampler.draw(
        .pop100, sequences: Sequences(last.sequences), itemCounts: last.counts, split: .test))
    #expect(
      popular.shortUserCount
        == last.pop100["test"]?.enumerated().count { user, items in
          last.sequences[user].count >= 3 && items.count < 100
        })
    let uniform = try #require(
      NegativeSampler.draw(
        .uniform100, sequences: Sequences(last.sequences), itemCounts: last.counts, split: .test))
    #expect((popular.emptyUserCount, uniform.emptyUserCount) == (1, 1))
  }

  @Test func fullDrawsNothing() {
    #expect(NegativeSampler.draw(.full, sequences: Sequences([[1, 2, 1]]), itemCounts: [2, 1], split: .test) == nil)
  }

  /// Everything before the label is rated; for validation the later test item is not.
  @Test func laterItemStaysACandidateOfValidation() throws {
    let sequences = Sequences([[3, 1, 4, 2], [5, 5]])
    let counts: [Int64] = [1, 1, 1, 1, 2, 0]
    func items(_ name: EvaluationProtocol, _ split: EvaluationSplit) throws -> NegativeSamples {
      try #require(NegativeSampler.draw(name, sequences: sequences, itemCounts: counts, split: split))
    }
    #expect(try Array(items(.pop100, .test)[0]) == [5])
    #expect(try Array(items(.pop100, .validation)[0]) == [2, 5])
    #expect(try items(.pop100, .validation).shortUserCount == 1)
    #expect(try items(.pop100, .test)[1].isEmpty)
    // Uniform draws do not ask for a count: item 6 is drawn too.
    #expect(try Set(items(.uniform100, .test)[0]) == [5, 6])
    #expect(try Set(items(.uniform100, .validation)[0]) == [2, 5, 6])
    #expect(try items(.uniform100, .validation)[0].count == 100)
    #expect(try items(.uniform100, .test)[1].isEmpty)
  }

  /// Unrated items too rare to be drawn in any reasonable time: bounded, complete, and said.
  @Test func rareItemsDoNotHang() throws {
    let counts = [Int64](repeating: 1 << 40, count: 130) + [Int64](repeating: 1, count: 105)
    let sequences = Sequences([Array(1...130), [131, 132, 133]])
    let samples = try #require(NegativeSampler.draw(.pop100, sequences: sequences, itemCounts: counts, split: .test))
    #expect(samples[0].count == 100)
    #expect(Set(samples[0]).count == 100)
    #expect(samples[0].allSatisfy { $0 > 130 })
    #expect((samples.filledUserCount, samples.shortUserCount) == (1, 0))
    #expect(samples[1].count == 100)
  }
}
