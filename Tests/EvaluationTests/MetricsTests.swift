import Evaluation
import Foundation
import Testing

struct MetricsTests {
  @Test func ranksCountTiesHalf() {
    #expect(Metrics.rank(greater: 0, equal: 0) == 1)
    #expect(Metrics.rank(greater: 3, equal: 1) == 4.5)
    #expect(Metrics.rank(greater: 2, equal: 4) == 5)
  }

  @Test func valuesByHand() {
    #expect(Metrics.hit(rank: 1, at: 1) == 1)
    #expect(Metrics.hit(rank: 1.5, at: 1) == 0)
    #expect(Metrics.hit(rank: 5, at: 5) == 1)
    #expect(Metrics.hit(rank: 5.5, at: 5) == 0)
    #expect(Metrics.hit(rank: 10, at: 10) == 1)
    #expect(Metrics.hit(rank: 10.5, at: 10) == 0)
    #expect(Metrics.ndcg(rank: 1, at: 10) == 1)
    #expect(Metrics.ndcg(rank: 3, at: 5) == 0.5)
    #expect(Metrics.ndcg(rank: 7, at: 5) == 0)
    #expect(abs(Metrics.ndcg(rank: 7, at: 10) - 1.0 / 3) < 1e-15)
    #expect(abs(Metrics.ndcg(rank: 2.5, at: 5) - 0.553_294_755_326) < 1e-9)
    #expect(Metrics.reciprocalRank(4) == 0.25)
  }

  @Test func means() {
    var sums = MetricSums()
    #expect(sums.means.allSatisfy { $0 == 0 })
    for rank in [1, 3, 7, 11] { sums.add(rank: Double(rank)) }
    #expect(Metrics.names == ["hit@1", "hit@5", "hit@10", "ndcg@1", "ndcg@5", "ndcg@10", "mrr"])
    let expected = [0.25, 0.5, 0.75, 0.25, 1.5 / 4, (1.5 + 1 / 3.0) / 4, (1 + 1 / 3.0 + 1 / 7.0 + 1 / 11.0) / 4]
    for (mean, value) in zip(sums.means, expected) { #expect(abs(mean - value) < 1e-15) }
    #expect(sums.mean("mrr") == sums.means[6])
    #expect(sums.mean("map") == nil)
  }

  @Test(arguments: [1, 7, 8, 9, 255, 256, 263, 1031])
  func scoreRows(size: Int) {
    var random = TestRandom(state: UInt64(size))
    let scores = (0..<size).map { _ in Float.random(in: -40...9, using: &random) }
    scores.withUnsafeBufferPointer { pointer in
      let row = ScoreRow(pointer)
      #expect(row.isFinite)
      #expect(row.maximum == scores.max())
      let expected = log(scores.reduce(0.0) { $0 + exp(Double($1)) })
      #expect(abs(row.logSumExp(maximum: row.maximum) - expected) < 1e-6 * max(1, abs(expected)))
      let middle = scores[size / 2]
      let counted = row.count(above: middle, in: 0..<size)
      #expect(counted.greater == scores.count { $0 > middle })
      #expect(counted.equal == 1)
    }
    for bad in [Float.nan, .infinity, -.infinity] {
      var spoilt = scores
      spoilt[size - 1] = bad
      spoilt.withUnsafeBufferPointer { #expect(!ScoreRow($0).isFinite) }
    }
  }

  @Test func exponential() {
    for start in stride(from: Float(0), through: -86, by: -0.37) {
      let values = ScoreRow.exp(SIMD8(repeating: start) - SIMD8(0, 0.01, 0.02, 0.05, 0.11, 0.2, 0.3, 0.36))
      for (lane, offset) in [Float(0), 0.01, 0.02, 0.05, 0.11, 0.2, 0.3, 0.36].enumerated() {
        let expected = exp(Double(start - offset))
        #expect(abs(Double(values[lane]) - expected) < 3e-7 * expected)
      }
    }
    let extremes = ScoreRow.exp(SIMD8(0, -87, -88, -1000, -.greatestFiniteMagnitude, -1, 0, 0))
    #expect(extremes[0] == 1)
    for lane in 1..<5 { #expect(extremes[lane] > 0 && extremes[lane] < 2e-38) }
  }
}
