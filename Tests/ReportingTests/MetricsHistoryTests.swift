import Reporting
import Testing

@Suite struct MetricsHistoryTests {
  private func history(_ lines: [String], end: String = "\n") -> MetricsHistory {
    MetricsHistory(parsing: Array((lines.joined(separator: "\n") + end).utf8))
  }

  @Test func readsReportsAndEvaluations() throws {
    let history = history([
      #"{"step":1,"epoch":0,"loss":4.5,"learning_rate":0.1,"gradient_norm":2,"instances_per_s":10,"seconds":60,"slowest_rank":1}"#,
      #"{"step":1,"split":"validation","users":5,"users_of":9,"ndcg@10[full]":0.25,"popularity/ndcg@10[full]":0.125}"#,
      #"{"step":2,"loss":4,"seconds":90,"work_seconds/0":0.5,"work_seconds/1":0.25,"phase/dense":0.5}"#,
    ])
    #expect(history.damage.isEmpty)
    #expect(history.reports.map(\.step) == [1, 2])
    #expect(history.reports.map(\.loss) == [4.5, 4])
    #expect(history.reports.map(\.minutes) == [1, 1.5])
    #expect(history.reports[1].work == [0.5, 0.25])
    #expect(history.reports[1].phases.map(\.name) == ["dense"])
    let validation = try #require(history.evaluations(of: "validation").first)
    #expect(validation.minutes == 1)
    #expect(validation.usersOf == 9)
    #expect(validation.metrics.map(\.key) == ["ndcg@10[full]", "popularity/ndcg@10[full]"])
    #expect(history.evaluations(of: "test").isEmpty)
  }

  /// A run that is resumed counts its seconds from 0 again.
  @Test func minutesGoOnOverStarts() {
    let history = history([60, 120, 30, 90, 12].enumerated().map { #"{"step":\#($0.offset + 1),"seconds":\#($0.element)}"# })
    #expect(history.reports.map(\.minutes) == [1, 2, 2.5, 3.5, 3.7])
  }

  @Test func damagedLinesAreSkippedAndTold() {
    let history = history(
      [
        #"{"step":1,"loss":4}"#, "not JSON", #"{"loss":3}"#, #"{"step":-2,"loss":3}"#, #"{"step":2,"loss":1e999,"learning_rate":null}"#, "",
        #"{"step":3,"lo"#,
      ], end: "")
    #expect(history.reports.map(\.step) == [1, 2])
    #expect(history.reports[1].loss == nil)
    #expect(history.reports[1].learningRate == nil)
    #expect(history.damage.map(\.line) == [2, 3, 4, 6, 7])
    #expect(history.damage[4].reason.contains("has no end"))
  }

  @Test func anEmptyFileHasNothing() {
    let history = MetricsHistory(parsing: [])
    #expect(history.reports.isEmpty && history.evaluations.isEmpty && history.damage.isEmpty && history.lastStep == nil)
  }
}
