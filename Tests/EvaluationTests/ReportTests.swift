import Evaluation
import Foundation
import InteractionData
import Testing

struct ReportTests {
  func report() throws -> EvaluationReport {
    let data = dataset([[1, 2, 3], [1, 2, 3, 4]], itemCount: 7)
    let scorer = FunctionScorer(itemCount: 7) { _, token in -Float(token) }
    return try #require(
      try Evaluator(dataset: data, maximumLength: 9, communicator: solo()).evaluate(
        scorer, split: .test, protocols: [.full, .pop100, .full], step: 12))
  }

  /// Labels 3 and 4 are the best unrated items here, whatever the protocol.
  @Test func table() throws {
    let lines = try report().table.split(separator: "\n").map(String.init)
    #expect(lines[0] == "test split, step 12, 2 users; popular: the most popular items")
    #expect(lines[1] == "protocol           hit@1   hit@5   hit@10  ndcg@1  ndcg@5  ndcg@10  mrr")
    #expect(lines[2] == "full      model    1.0000  1.0000  1.0000  1.0000  1.0000  1.0000   1.0000")
    #expect(lines[3] == "          popular  1.0000  1.0000  1.0000  1.0000  1.0000  1.0000   1.0000")
    #expect(lines[4].hasPrefix("pop100    model    1.0000"))
    #expect(lines[6] == "top 10: coverage 0.7143 (popular 0.7143), mean popularity 0.4 (popular 0.4)")
    #expect(lines[7].hasPrefix("masked items: loss "))
    #expect(lines[8].hasPrefix("note: pop100: 2 of 2 users have fewer than 100 unrated items, all of which are"))
    #expect(lines[9].hasPrefix("note: pop100: 1 of 2 users have no unrated item at all"))
    #expect(lines.count == 10)
  }

  /// A terminal has 80 columns; the longest names and values.
  @Test func theTableFitsATerminal() throws {
    var report = try report()
    report.protocols = EvaluationProtocol.allCases
    let lines = report.table.split(separator: "\n").dropFirst().prefix(7)
    #expect(lines.count == 7 && lines.allSatisfy { $0.count <= 80 }, "\(lines)")
  }

  @Test func summary() throws {
    #expect(try report().summary("ndcg@10[full]") == "ndcg@10[full] 1.0000, most popular 1.0000 (2 users)")
    #expect(try report().summary("absent") == "absent - (2 users)")
  }

  @Test func originalsLine() throws {
    #expect(
      try report().lines == [
        "[full, 2 users] ndcg@1:1.0, hit@1:1.0, ndcg@5:1.0, hit@5:1.0, ndcg@10:1.0, hit@10:1.0, ap:1.0, valid_user:2",
        "[pop100, 2 users] ndcg@1:1.0, hit@1:1.0, ndcg@5:1.0, hit@5:1.0, ndcg@10:1.0, hit@10:1.0, ap:1.0, valid_user:2",
      ])
  }

  @Test func json() throws {
    var report = try report()
    report.metrics.append(("odd \"\\\u{1}", 1e-7))
    report.metrics.append(("undefined", .nan))
    let object = try #require(
      try JSONSerialization.jsonObject(with: Data(report.json.utf8)) as? [String: Any])
    #expect(!report.json.contains("\n"))
    #expect(object["split"] as? String == "test")
    #expect(object["step"] as? Int == 12)
    #expect(object["users"] as? Int == 2)
    #expect((object["notes"] as? [String])?.count == 2)
    #expect(object["undefined"] is NSNull)
    for (key, value) in report.metrics where value.isFinite { #expect(object[key] as? Double == value, "\(key)") }
    for cutoff in [1, 5, 10] {
      for key in ["hit@\(cutoff)[full]", "ndcg@\(cutoff)[pop100]", "popularity/ndcg@\(cutoff)[full]", "mrr[full]"] {
        #expect(object[key] is Double)
      }
    }
    #expect(object["hit@1[uniform100]"] == nil)
  }
}
