import Evaluation
import Foundation
import TestSupport
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

  @Test(arguments: [1, 7, 8, 9, 15, 16, 17, 255, 256, 263, 1031])
  func scoreRows(size: Int) {
    var random = SeededGenerator(seed: UInt64(size))
    let scores = (0..<size).map { _ in Float.random(in: -40...9, using: &random) }
    let tokens = 5..<(5 + size)
    scores.withUnsafeBufferPointer { pointer in
      guard let start = pointer.baseAddress else { return }
      let row = ScoreRow(start, tokens: tokens)
      let middle = scores[size / 2]
      let summary = row.summary(comparedWith: middle)
      #expect(summary.isFinite)
      #expect(summary.maximum == scores.max())
      #expect(summary.greater == scores.count { $0 > middle })
      #expect(summary.equal == 1)
      let expected = scores.reduce(0.0) { $0 + exp(Double($1) - Double(summary.maximum)) }
      #expect(abs(row.exponentialSum(maximum: summary.maximum) - expected) < 1e-6 * expected)
      for start in [0, size / 2, size - 1] {
        let above = scores[start...].firstIndex { $0 > middle } ?? size
        #expect(row.first(from: 5 + start, above: middle) == 5 + above)
      }
      #expect(row.first(from: 5, above: summary.maximum) == tokens.upperBound)
      #expect(row[5 + size / 2] == middle)
    }
    for bad in [Float.nan, -.nan, .infinity, -.infinity] {
      for place in [0, size / 2, size - 1] {
        var spoilt = scores
        spoilt[place] = bad
        spoilt.withUnsafeBufferPointer { pointer in
          guard let start = pointer.baseAddress else { return }
          #expect(!ScoreRow(start, tokens: tokens).summary(comparedWith: 0).isFinite)
        }
      }
    }
  }

  @Test func exponentialSumsOfOneNumber() {
    for start in stride(from: Float(0), through: -86, by: -0.37) {
      let expected = exp(Double(start))
      let value = withUnsafePointer(to: start) { ScoreRow($0, tokens: 0..<1).exponentialSum(maximum: 0) }
      #expect(abs(value - expected) < 3e-7 * expected)
    }
    for extreme: Float in [-87, -88, -1000, -.greatestFiniteMagnitude] {
      let value = withUnsafePointer(to: extreme) { ScoreRow($0, tokens: 0..<1).exponentialSum(maximum: 0) }
      #expect(value > 0 && value < 2e-38)
    }
  }
}
