import Evaluation
import Foundation
import InteractionData
import SystemSupport
import Testing

struct TargetEvaluationTests {
  private func expectClose(_ found: [Double], _ expected: [Double]) {
    #expect(found.count == expected.count)
    for (value, wanted) in zip(found, expected) { #expect(abs(value - wanted) < 1e-12, "\(found)") }
  }

  /// Two of four targets, at the places 1 and 3 of a list of five.
  @Test func valuesByHand() {
    let values = TargetMetrics.values(found: [true, false, true, false, false], targetCount: 4, cutoffs: [1, 3, 10])
    let (third, fourth) = (0.630_929_753_571_457_4, 0.430_676_558_073_393_06)  // 1 / log2(3), 1 / log2(5)
    expectClose(Array(values[0..<6]), [1, 0.25, 1, 1, 0.25, 1])
    expectClose(Array(values[6..<12]), [1, 0.5, 2.0 / 3, 1.5 / (1.5 + third), (1 + 2.0 / 3) / 4, 1])
    // The ideal list has four targets; precision divides by ten though the list has five.
    expectClose(Array(values[12..<18]), [1, 0.5, 0.2, 1.5 / (1.5 + third + fourth), (1 + 2.0 / 3) / 4, 1])
  }

  @Test func lateAndMissing() {
    let late = TargetMetrics.values(found: [false, false, true], targetCount: 1, cutoffs: [2, 3])
    expectClose(late, [0, 0, 0, 0, 0, 0, 1, 1, 1.0 / 3, 0.5, 1.0 / 3, 1.0 / 3])
    expectClose(TargetMetrics.values(found: [], targetCount: 2, cutoffs: [5]), [0, 0, 0, 0, 0, 0])
    expectClose(TargetMetrics.values(found: [true, true], targetCount: 2, cutoffs: [2]), [1, 1, 1, 1, 1, 1])
  }

  /// Items i0 ... i3; nobody had i3.
  private var histories: Dataset { dataset([[1, 2], [1, 1, 3], [2]], itemCount: 4) }

  private func questions() throws -> TargetQuestions {
    let targets = Dataset(
      name: "later", itemIDs: ExternalIDs(["i2", "zzz", "i0"].map { Array($0.utf8) }), itemCounts: [2, 1, 1],
      userIDs: ExternalIDs(["u0", "x"].map { Array($0.utf8) }), sequences: Sequences([[1, 2, 1], [3]]), fingerprint: "")
    return try TargetQuestions(targets: targets, histories: histories, items: ItemNumbers(histories.itemIDs))
  }

  @Test func whomItAsks() throws {
    let questions = try questions()
    #expect(
      questions.questions == [.init(history: [1, 2], targets: [3, 5]), .init(history: [], targets: [1])])
    let counts = Dictionary(uniqueKeysWithValues: questions.counts.map { ($0.key, $0.value) })
    #expect(
      counts == [
        "targets": 3, "repeated_targets": 1, "unknown_targets": 1, "users_without_history": 1, "users_without_targets": 2,
      ])
    #expect(questions.notes.count == 4 && questions.targetsInHistory == 0)
  }

  private func report(keepSeen: Bool) throws -> TargetReport {
    var evaluation = TargetEvaluation(
      try questions(), popularity: ItemPopularity(histories.sequences, itemCount: 4), cutoffs: [1, 2], keepSeen: keepSeen)
    evaluation.add([3, 4, 1])
    evaluation.add([])
    return evaluation.report(subject: "targets later", notes: ["first"])
  }

  @Test func metricsByHand() throws {
    let report = try report(keepSeen: false)
    let (log3, log2of3by2) = (1.584_962_500_721_156, 0.584_962_500_721_156)
    let expected: [String: [Double]] = [
      "hit": [0.5, 0.5], "recall": [0.25, 0.25], "precision": [0.5, 0.25],
      "ndcg": [0.5, 0.5 / (1 + 0.630_929_753_571_457_4)], "map": [0.25, 0.25], "mrr": [0.5, 0.5],
      // Of the one list that has items.
      "coverage": [0.25, 0.5], "mean_popularity": [1, 0.5], "novelty": [log3, log3],
    ]
    let popular: [String: [Double]] = [
      "hit": [1, 1], "recall": [0.75, 0.75], "precision": [1, 0.5],
      "ndcg": [1, (1 / (1 + 0.630_929_753_571_457_4) + 1) / 2], "map": [0.75, 0.75], "mrr": [1, 1],
      "coverage": [0.5, 1], "mean_popularity": [2, 1.5], "novelty": [(log3 + log2of3by2) / 2, (log3 + log2of3by2) / 2],
    ]
    for (prefix, table) in [("", expected), ("popularity/", popular)] {
      for (name, values) in table {
        for (cutoff, value) in zip([1, 2], values) {
          let key = "\(prefix)\(name)@\(cutoff)[full]"
          let found = try #require(report.value(key), "\(key)")
          #expect(abs(found - value) < 1e-12, "\(key): \(found), expected \(value)")
        }
      }
    }
    #expect(report.metrics.count == 2 * 9 * 2)
    // With the history's items, the most popular ones that u0 has had take the places.
    let kept = try self.report(keepSeen: true)
    #expect(kept.value("popularity/hit@2[full]") == 0.5 && kept.value("hit@2[full]") == 0.5)
  }

  @Test func tableAndJSON() throws {
    let report = try report(keepSeen: false)
    let lines = report.table.split(separator: "\n").map(String.init)
    #expect(lines[0] == "targets later, protocol full, 2 users, 3 targets; each cell: predictions | most popular")
    #expect(lines[1] == "metric           @1               @2")
    #expect(lines[3] == "recall           0.2500 | 0.7500  0.2500 | 0.7500")
    #expect(lines[9] == "mean popularity  1.0 | 2.0        0.5 | 1.5")
    #expect(lines[11] == "note: first" && lines.count == 16)
    let object = try #require(try JSONSerialization.jsonObject(with: Data(report.json.utf8)) as? [String: Any])
    #expect(object["users"] as? Int == 2 && object["unknown_targets"] as? Int == 1 && object["step"] == nil)
    for (key, value) in report.metrics { #expect(object[key] as? Double == value, "\(key)") }
    #expect((object["notes"] as? [String])?.count == 5)
  }

  @Test func withoutHistories() throws {
    let targets = dataset([[1, 2], [2]], itemCount: 2)
    let questions = try TargetQuestions(targets: targets, histories: nil, items: ItemNumbers(ExternalIDs()))
    var evaluation = TargetEvaluation(questions, popularity: nil, cutoffs: [1], keepSeen: false)
    evaluation.add([2])
    evaluation.add([1])
    let report = evaluation.report(subject: "targets test")
    #expect(report.metrics.map(\.key) == TargetMetrics.names.map { "\($0)@1[full]" })
    #expect(report.value("recall@1[full]") == 0.25)
    #expect(report.table.hasPrefix("targets test, protocol full, 2 users, 3 targets\n"))
  }

  @Test func heldOutItems() throws {
    let data = dataset([[1, 2, 3], [1, 2], [4, 4, 4, 1]], itemCount: 4)
    let test = try TargetQuestions(data, leaveOneOut: .test)
    #expect(test.questions == [.init(history: [1, 2], targets: [3]), .init(history: [4, 4, 4], targets: [1])])
    #expect(test.counts.map(\.value) == [2, 1] && test.notes.count == 1 && test.targetsInHistory == 0)
    let validation = try TargetQuestions(data, leaveOneOut: .validation)
    #expect(validation.questions == [.init(history: [1], targets: [2]), .init(history: [4, 4], targets: [4])])
    #expect(validation.targetsInHistory == 1)
    let error = #expect(throws: ProgramFailure.self) { try TargetQuestions(dataset([[1, 2]], itemCount: 2), leaveOneOut: .test) }
    #expect(error?.exitCode == .badData)
  }
}
