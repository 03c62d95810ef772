import Foundation
import Testing

extension CommandTests {
  /// `evaluate --trec`
  @Suite struct TREC {
    private func json(_ result: CommandResult) throws -> [String: Any] {
      try #require(result.status == 0, "\(result.errors)")
      let line = try #require(result.lines.last)
      return try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    }

    private func lines(_ path: String) throws -> [[Substring]] {
      try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map { $0.split(separator: " ") }
    }

    /// What is written, read back as another program's lists, has the metrics that were printed.
    @Test func heldOutItems() throws {
      let demo = try TrainedDemo.shared.get()
      try Program.withTemporaryFolder { folder in
        let asked = ["evaluate", "--checkpoint", demo.run.path, "--data", demo.data, "--protocol", "full", "--json"]
        let ranked = try json(Program.run(asked + ["--trec", "a/trec"], in: folder))
        let (run, judgements) = (try lines(folder + "/a/trec/run.txt"), try lines(folder + "/a/trec/qrels.txt"))
        // As many as a user has not seen, at most 100.
        #expect(Set(run.map { $0[0] }).count == 400)
        #expect(run.allSatisfy { $0.count == 6 && (1...100).contains(Int($0[3]) ?? 0) })
        #expect(judgements.count == 400 && judgements.allSatisfy { $0.count == 4 && $0[1] == "0" && $0[3] == "1" })
        // By hand: the place of the judged item in its user's list.
        var place: [String: Int] = [:]
        for fields in run { place["\(fields[0]) \(fields[2])"] = Int(fields[3]) }
        let gains = judgements.map { fields in
          place["\(fields[0]) \(fields[2])"].map { $0 <= 10 ? 1 / log2(Double($0) + 1) : 0 } ?? 0
        }
        let expected = try #require(ranked["ndcg@10[full]"] as? Double)
        #expect(abs(gains.reduce(0, +) / 400 - expected) < 1e-12)
        let predicted = try json(
          Program.run(["evaluate", "--predictions", "a/trec/run.txt", "--data", demo.data, "--at", "1,5,10", "--json"], in: folder))
        for key in ["hit@1", "hit@10", "ndcg@5", "ndcg@10"].map({ $0 + "[full]" }) {
          #expect(abs((predicted[key] as? Double ?? -1) - (ranked[key] as? Double ?? -2)) < 1e-12, "\(key)")
        }
        // On ranks, all threads, with seen items: the same bytes, and other ones.
        #expect(try json(Program.mpirun(ranks: 3, asked + ["--trec", "ranks", "--threads", "2"], in: folder)).count == ranked.count)
        for name in ["run.txt", "qrels.txt"] {
          #expect(try lines(folder + "/ranks/" + name) == lines(folder + "/a/trec/" + name))
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["a", "ranks"])
      }
    }

    @Test func severalTargets() throws {
      let demo = try TrainedDemo.shared.get()
      try Program.withTemporaryFolder { folder in
        var items: [Substring: [Substring]] = [:]
        var order: [Substring] = []
        for line in try String(contentsOfFile: demo.data, encoding: .utf8).split(separator: "\n") {
          let fields = line.split(separator: " ")
          if items[fields[0]] == nil { order.append(fields[0]) }
          items[fields[0], default: []].append(fields[1])
        }
        func text(_ part: ([Substring]) -> ArraySlice<Substring>) -> String {
          order.flatMap { user in part(items[user] ?? []).map { "\(user) \($0)\n" } }.joined()
        }
        let more = "\(order[0]) brand-new\n\(order[0]) brand-new\nstranger ring0-item1\n"
        try text { $0.dropLast(3) }.write(toFile: folder + "/before.txt", atomically: true, encoding: .utf8)
        try (text { $0.suffix(3) } + more).write(toFile: folder + "/later.txt", atomically: true, encoding: .utf8)
        let asked = ["evaluate", "--data", "before.txt", "--targets", "later.txt", "--json"]
        let model = try json(Program.mpirun(ranks: 2, asked + ["--checkpoint", demo.run.path, "--trec", "trec"], in: folder))
        let predicted = try json(Program.run(asked + ["--predictions", "trec/run.txt"], in: folder))
        let keys = model.keys.filter { $0.hasSuffix("[full]") && !$0.hasPrefix("popularity/") }
        #expect(keys.count == 45)
        for key in keys { #expect(predicted[key] as? Double == model[key] as? Double, "\(key)") }
        let judgements = try lines(folder + "/trec/qrels.txt")
        #expect(judgements.filter { $0[2] == "brand-new" }.map { $0[0] } == [order[0]])
        #expect(judgements.count == model["targets"] as? Int && judgements.last?[0] == "stranger")
      }
    }

    @Test func refusesAndLeavesNothing() throws {
      let demo = try TrainedDemo.shared.get()
      try Program.withTemporaryFolder { folder in
        let asked = ["evaluate", "--checkpoint", demo.run.path, "--protocol", "full"]
        try FileManager.default.createDirectory(atPath: folder + "/there", withIntermediateDirectories: false)
        let taken = try Program.run(asked + ["--data", demo.data, "--trec", "there"], in: folder)
        #expect(taken.status == 64 && taken.output.isEmpty && taken.count(ofErrors: "there exists, and is not replaced") == 1)
        let histories = (0..<4).map { "user_id,item_id,timestamp\n\"a b\",ring0-item\($0),\($0 + 1)\n" }
        let csv = "user_id,item_id,timestamp\n" + histories.map { $0.split(separator: "\n")[1] }.joined(separator: "\n") + "\n"
        try csv.write(toFile: folder + "/spaced.csv", atomically: true, encoding: .utf8)
        let spaced = try Program.mpirun(ranks: 2, asked + ["--data", "spaced.csv", "--trec", "new"], in: folder)
        #expect(spaced.status == 65 && spaced.count(ofErrors: "error: the id 'a b' has a space") == 1, "\(spaced.errors)")
        let lists = try Program.run(["evaluate", "--predictions", "x", "--data", "y", "--trec", "new"], in: folder)
        #expect(lists.status == 64)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["spaced.csv", "there"])
      }
    }
  }
}
