import BERT4RecDist
import Foundation
import Testing

extension CommandTests {
  @Suite struct Recommend {
    private func recommend(
      _ more: String..., histories: String? = nil, status: Int32 = 0
    ) throws -> CommandResult {
      let demo = try TrainedDemo.shared.get()
      let whom = histories == nil ? ["--data", demo.data] : ["--histories", "-"]
      let result = try Program.run(["recommend", "--checkpoint", demo.run.path] + whom + more, input: histories)
      #expect(result.status == status, "\(result.errors)")
      return result
    }

    private func rows(_ result: CommandResult) throws -> [[String: Any]] {
      try result.lines.map {
        try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
      }
    }

    static let two = "ann ring0-item3\nann ring0-item4\nbob ring1-item9\nann ring0-item5\n"

    @Test func theThreeFormatsSayTheSame() throws {
      let csv = try recommend("--top-k", "3", histories: Self.two)
      #expect(csv.lines.count == 7 && csv.lines.first == "user_id,item_id,score,rank")
      let tsv = try recommend("--top-k", "3", "--format", "tsv", histories: Self.two)
      #expect(tsv.lines.first == "user_id\titem_id\tscore\trank")
      #expect(tsv.output.replacing("\t", with: ",") == csv.output)
      let jsonl = try rows(recommend("--top-k", "3", "--format", "jsonl", histories: Self.two))
      let fields = csv.lines.dropFirst().map { $0.split(separator: ",") }
      #expect(jsonl.count == 6 && jsonl.allSatisfy { $0.count == 4 })
      for (row, field) in zip(jsonl, fields) {
        #expect(row["user_id"] as? String == String(field[0]) && row["item_id"] as? String == String(field[1]))
        #expect(row["score"] as? Double == Double(field[2]) && row["rank"] as? Int == Int(field[3]))
      }
      #expect(jsonl.map { $0["user_id"] as? String } == ["ann", "ann", "ann", "bob", "bob", "bob"])
      #expect(jsonl.map { $0["rank"] as? Int } == [1, 2, 3, 1, 2, 3])
    }

    /// Another column, the last one; nothing else changes.
    @Test func titlesAreShown() throws {
      try Program.withTemporaryFolder { folder in
        let path = folder + "/titles.csv"
        let rows = (0..<24).filter { $0 != 6 }.map { "ring0-item\($0),\"Ring, \($0)\"\n" }.joined()
        try "item_id,title\n\(rows)".write(toFile: path, atomically: true, encoding: .utf8)
        let plain = try recommend("--top-k", "200", histories: Self.two)
        let csv = try recommend("--top-k", "200", "--items", path, histories: Self.two)
        #expect(csv.count(ofErrors: "97 of 120 items that the model knows have no title in \(path)") == 1, "\(csv.errors)")
        #expect(csv.lines.first == "user_id,item_id,score,rank,title")
        for (line, before) in zip(csv.lines.dropFirst(), plain.lines.dropFirst()) {
          let item = before.split(separator: ",")[1]
          let number = item.split(separator: "m").last.map(String.init) ?? ""
          let title = item.hasPrefix("ring0-") && number != "6" ? "\"Ring, \(number)\"" : ""
          #expect(line == before + "," + title)
        }
        let tsv = try recommend("--top-k", "3", "--items", path, "--format", "tsv", histories: Self.two)
        let jsonl = try self.rows(recommend("--top-k", "3", "--items", path, "--format", "jsonl", histories: Self.two))
        #expect(tsv.lines.first == "user_id\titem_id\tscore\trank\ttitle")
        let titles = tsv.lines.dropFirst().map { $0.split(separator: "\t", omittingEmptySubsequences: false).last.map(String.init) }
        #expect(titles == jsonl.map { $0["title"] as? String } && titles.count == 6)
        let objects = folder + "/titles.jsonl"
        let lines = (0..<24).filter { $0 != 6 }.map { "{\"title\": \"Ring, \($0)\", \"item_id\": \"ring0-item\($0)\"}\n" }.joined()
        try lines.write(toFile: objects, atomically: true, encoding: .utf8)
        #expect(try recommend("--top-k", "200", "--items", objects, histories: Self.two).output == csv.output)
        let absent = try recommend("--items", folder + "/absent.csv", histories: Self.two, status: 66)
        #expect(absent.output.isEmpty && absent.count(ofErrors: "error: ") == 1)
      }
    }

    @Test func itHasLearntWhatComesNext() throws {
      let histories = (0..<5).flatMap { ring in (4..<14).map { "user\(ring) ring\(ring)-item\($0)\n" } }
      let output = try recommend("--top-k", "10", histories: histories.joined()).output
      let found = (0..<5).count { output.contains("user\($0),ring\($0)-item14,") }
      #expect(found >= 4, "\(output)")
    }

    @Test func ordersByScore() throws {
      let rows = try rows(recommend("--top-k", "500", "--keep-seen", "--format", "jsonl", histories: Self.two))
      for user in ["ann", "bob"] {
        let scores = rows.filter { $0["user_id"] as? String == user }.compactMap { $0["score"] as? Double }
        // No more items than there are.
        #expect(scores.count == 120 && scores == scores.sorted(by: >))
      }
    }

    /// Nine significant digits, unless the rest are zeros: they bring back exactly the same float32.
    @Test func scoresHaveNineDigits() throws {
      let result = try recommend("--top-k", "120", "--keep-seen", histories: Self.two)
      let digits = result.lines.dropFirst().map { line in
        line.split(separator: ",")[2].prefix { $0 != "e" }.filter(\.isNumber).drop { $0 == "0" }.count
      }
      #expect(digits.max() == 9)
      #expect(digits.count { $0 == 9 } > 200)
    }

    @Test func seenItemsStayOutUnlessKept() throws {
      let without = try recommend("--top-k", "120", "--format", "tsv", histories: Self.two)
      let with = try recommend("--top-k", "120", "--format", "tsv", "--keep-seen", histories: Self.two)
      #expect(without.lines.count == 1 + 117 + 119 && with.lines.count == 1 + 240)
      #expect(!without.output.contains("ann\tring0-item4\t") && with.output.contains("ann\tring0-item4\t"))
      #expect(without.output.contains("bob\tring0-item4\t"))
    }

    @Test func unknownItemsAreSkippedAndCounted() throws {
      let known = try recommend(histories: "u ring2-item1\nu ring2-item2\n")
      let mixed = try recommend(histories: "u ring2-item1\nu nonsense\nu ring2-item2\nu other\n")
      #expect(mixed.output == known.output)
      #expect(mixed.errors.contains("2 interactions with items that the model does not know are skipped"))
      #expect(!known.errors.contains("skipped"))
    }

    @Test func anEmptyHistoryGetsTheMostPopular() throws {
      let result = try recommend(
        "--format", "jsonl", "--top-k", "4", histories: "new\nann ring0-item3\nlost nonsense\n")
      let rows = try rows(result)
      #expect(rows.map { $0["user_id"] as? String } == ["new", "ann", "lost"].flatMap { [$0, $0, $0, $0] })
      let counts = DemonstrationData.make().itemCounts.prefix(4).map(Double.init)
      for user in ["new", "lost"] {
        let own = rows.filter { $0["user_id"] as? String == user }
        #expect(own.allSatisfy { $0["fallback"] as? String == "popular" })
        #expect(own.compactMap { $0["score"] as? Double } == counts)
      }
      #expect(rows.filter { $0["user_id"] as? String == "ann" }.allSatisfy { $0["fallback"] == nil })
      #expect(
        result.errors.contains("2 of 3 users have no history that the model knows: they get the most popular items"))
    }

    @Test func nobodyAtAll() throws {
      let result = try recommend(histories: "")
      #expect(result.output == "user_id,item_id,score,rank\n")
    }

    @Test func onlyTheLastItemsOfALongHistoryCount() throws {
      // max_seq_length is 32: 31 items and the mask.
      let history = (0..<80).map { "u ring\($0 / 24 % 5)-item\($0 % 24)\n" }
      let long = try recommend("--keep-seen", histories: history.joined())
      #expect(try recommend("--keep-seen", histories: history.suffix(31).joined()).output == long.output)
      #expect(try recommend("--keep-seen", histories: history.suffix(30).joined()).output != long.output)
    }

    @Test func ranksChangeNothing() throws {
      let demo = try TrainedDemo.shared.get()
      let arguments = ["recommend", "--checkpoint", demo.run.path, "--data", demo.data]
      let alone = try Program.run(arguments)
      let ranks = try Program.mpirun(ranks: 2, arguments)
      #expect(alone.status == 0 && ranks.status == 0 && ranks.output == alone.output)
      for threads in ["1", "3"] { #expect(try Program.run(arguments + ["--threads", threads]).output == alone.output) }
      #expect(try Program.mpirun(ranks: 3, arguments + ["--threads", "2"]).output == alone.output)
      #expect(alone.lines.count == 1 + 400 * 10)
    }

    /// `| head -1`: two megabytes are on their way when the reader leaves.
    @Test(arguments: ["csv", "jsonl"]) func aReaderThatLeavesEndsItQuietly(format: String) throws {
      let demo = try TrainedDemo.shared.get()
      let script = "set -o pipefail; \"$0\" \"$@\" | head -1"
      let result = try Program.execute(
        "/bin/bash",
        ["-c", script, Program.path, "recommend", "--checkpoint", demo.run.path, "--data", demo.data]
          + ["--top-k", "120", "--keep-seen", "--format", format])
      #expect(result.status == 0 && result.lines.count == 1)
      #expect(!result.errors.lowercased().contains("error") && !result.errors.contains("pipe"), "\(result.errors)")
    }

    /// The place of the held-out item in the list is its rank in the full protocol, with the history's items and without them.
    @Test(arguments: [false, true]) func agreesWithTheEvaluation(keepSeen: Bool) throws {
      final class Ranks: EvaluationHook {
        var ofUsers: [Int: (item: Int32, rank: Double)] = [:]
        func afterRun(_ block: EvaluationBlock, _ results: [UserResult]) {
          for result in results { ofUsers[result.user] = (result.label, result.rank(.full) ?? 0) }
        }
      }
      let demo = try TrainedDemo.shared.get()
      let communicator = SoloCommunicator()
      let model = try CheckpointModel(demo.run.path, communicator: communicator, log: { Issue.record("\($0)") })
      let dataset = try model.sharedDataset(demo.data, for: .test, communicator: communicator, log: { _ in }).dataset
      let ranks = Ranks()
      _ = try Evaluator(dataset: dataset, maximumLength: 32, keepSeen: keepSeen, communicator: communicator)
        .evaluate(try ModelScorer(model.state), split: .test, protocols: [.full], step: 0, hooks: [ranks])

      let itemIDs = (0..<dataset.itemCount).map { String(decoding: dataset.itemIDs[$0], as: UTF8.self) }
      var histories = ""
      for user in 0..<dataset.sequences.userCount {
        for item in dataset.sequences[user].dropLast() { histories += "\(user) \(itemIDs[Int(item) - 1])\n" }
      }
      let output =
        keepSeen
        ? try recommend("--top-k", "120", "--keep-seen", "--format", "tsv", histories: histories)
        : try recommend("--top-k", "120", "--format", "tsv", histories: histories)
      var places: [String: Int] = [:]
      for line in output.lines.dropFirst() {
        let fields = line.split(separator: "\t")
        places["\(fields[0]) \(fields[1])"] = Int(fields[3])
      }
      var compared = 0
      for (user, result) in ranks.ofUsers {
        // A held-out item that is in the user's history is not recommended again.
        if !keepSeen, dataset.sequences[user].dropLast().contains(result.item) { continue }
        #expect(places["\(user) \(itemIDs[Int(result.item) - 1])"].map(Double.init) == result.rank, "user \(user)")
        compared += 1
      }
      #expect(compared > 300)
    }
  }

  /// Ids are bytes, whatever they are.
  @Suite struct OddIDs {
    static let long = String(repeating: "long-", count: 60)
    /// As a CSV file writes them, and what they are.
    static let items: [(written: String, bytes: [UInt8])] = [
      ("\"comma, item\"", Array("comma, item".utf8)), ("\"say \"\"hi\"\"\"", Array("say \"hi\"".utf8)),
      ("tab\there", Array("tab\there".utf8)), (long, Array(long.utf8)), ("häßlich", Array("häßlich".utf8)),
      ("back\\slash", Array("back\\slash".utf8)),
    ]

    /// Trains on a CSV file with these items and another one of `extra` bytes; runs `body` in the folder.
    private func withModel(extra: [UInt8], _ body: (String) throws -> Void) throws {
      try Program.withTemporaryFolder { folder in
        var file = Array("user_id,item_id,timestamp\n".utf8)
        let written = Self.items.map { Array($0.written.utf8) } + [extra]
        for user in 0..<9 {
          for time in 0..<5 {
            file += Array("\"user, \(user)\",".utf8) + written[(user + time * 2) % written.count]
            file += Array(",\(1_500_000_000 + time)\n".utf8)
          }
        }
        try Data(file).write(to: URL(fileURLWithPath: folder + "/odd.csv"))
        let small = settings([
          "max_seq_length": 8, "hidden_size": 8, "intermediate_size": 8, "num_train_steps": 3, "batch_size": 16,
        ])
        let result = try Program.mpirun(ranks: 2, ["train", "--data", "odd.csv", "--run", "run"] + small, in: folder)
        #expect(result.status == 0, "\(result.errors)")
        try body(folder)
      }
    }

    private func recommend(_ format: String, in folder: String) throws -> CommandResult {
      try Program.run(
        ["recommend", "--checkpoint", "run", "--data", "odd.csv", "--top-k", "7", "--keep-seen", "--format", format],
        in: folder)
    }

    @Test func everyFormatCarriesText() throws {
      try withModel(extra: Array("plain".utf8)) { folder in
        let csv = try recommend("csv", in: folder)
        #expect(csv.status == 0 && csv.lines.count == 64)
        for (written, _) in Self.items { #expect(csv.output.contains("\"user, 0\",\(written),"), "\(written)") }
        let tsv = try recommend("tsv", in: folder)
        #expect(tsv.output.contains("user, 0\ttab\\there\t") && tsv.output.contains("\tback\\\\slash\t"))
        #expect(tsv.lines.allSatisfy { $0.split(separator: "\t").count == 4 })
        let json = try recommend("jsonl", in: folder)
        let items = try json.lines.map { line in
          (try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])?["item_id"] as? String
        }
        #expect(Set(items.prefix(7)) == Set(Self.items.map { String(decoding: $0.bytes, as: UTF8.self) } + ["plain"]))
        // What recommend writes can be read again: here as a history.
        try csv.outputBytes.write(to: URL(fileURLWithPath: folder + "/again.csv"))
        let again = try Program.run(["recommend", "--checkpoint", "run", "--histories", "again.csv"], in: folder)
        #expect(again.status == 0 && !again.errors.contains("skipped"), "\(again.errors)")
      }
    }

    @Test func bytesThatAreNoTextGoThroughUnchanged() throws {
      let odd: [UInt8] = [0x69, 0xFF, 0xFE, 0x80]
      try withModel(extra: odd) { folder in
        for format in ["csv", "tsv"] {
          let result = try recommend(format, in: folder)
          #expect(result.status == 0 && result.outputBytes.range(of: Data(odd)) != nil, "\(format)")
        }
        let json = try recommend("jsonl", in: folder)
        #expect(json.status == 65)
        let words = "error: the id \"i\\xFF\\xFE\\x80\" is not UTF-8, which JSON cannot carry"
        #expect(json.count(ofErrors: words) == 1, "\(json.errors)")
      }
    }
  }
}
