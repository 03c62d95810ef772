import Foundation
import Testing

extension CommandTests {
  /// Lists against several targets per user.
  @Suite struct Targets {
    /// The demo's histories without each user's last three items, which are the targets.
    private struct Files {
      let folder: String
      let users: [(id: Substring, items: [Substring])]

      init(_ folder: String) throws {
        self.folder = folder
        var (order, items): ([Substring], [Substring: [Substring]]) = ([], [:])
        for line in try String(contentsOfFile: try TrainedDemo.shared.get().data, encoding: .utf8).split(separator: "\n") {
          let fields = line.split(separator: " ")
          if items[fields[0]] == nil { order.append(fields[0]) }
          items[fields[0], default: []].append(fields[1])
        }
        users = order.map { ($0, items[$0] ?? []) }
        try write("before.txt") { $0.dropLast(3) }
        try write("later.txt") { $0.suffix(3) }
      }

      func write(_ name: String, _ part: ([Substring]) -> ArraySlice<Substring>) throws {
        let lines = users.flatMap { user in part(user.items).map { "\(user.id) \($0)\n" } }
        try lines.joined().write(toFile: folder + "/" + name, atomically: true, encoding: .utf8)
      }

      func text(_ name: String) throws -> String { try String(contentsOfFile: folder + "/" + name, encoding: .utf8) }

      func write(_ text: String, to name: String) throws {
        try text.write(toFile: folder + "/" + name, atomically: true, encoding: .utf8)
      }

      func evaluate(_ more: [String], ranks: Int? = nil) throws -> CommandResult {
        let arguments = ["evaluate"] + more
        let result = try ranks.map { try Program.mpirun(ranks: $0, arguments, in: folder) } ?? Program.run(arguments, in: folder)
        try #require(result.status == 0, "\(result.errors)")
        return result
      }
    }

    private func withFiles(_ body: (Files, String) throws -> Void) throws {
      try Program.withTemporaryFolder { folder in try body(Files(folder), try TrainedDemo.shared.get().run.path) }
    }

    private func json(_ result: CommandResult) throws -> [String: Any] {
      let line = try #require(result.lines.last)
      return try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    }

    @Test func ranksAndThreadsChangeNothing() throws {
      try withFiles { files, run in
        let arguments = ["--checkpoint", run, "--data", "before.txt", "--targets", "later.txt"]
        let alone = try files.evaluate(arguments + ["--json", "--threads", "1"])
        #expect(try files.evaluate(arguments + ["--json"], ranks: 2).output == alone.output)
        #expect(try files.evaluate(arguments + ["--json", "--threads", "3"]).output == alone.output)
        let report = try json(alone)
        #expect(report["users"] as? Int == 400)
        let (model, popular) = (report["recall@10[full]"] as? Double ?? 0, report["popularity/recall@10[full]"] as? Double ?? 1)
        #expect(model > 0.5 && popular < 0.2, "\(model), popularity \(popular)")
        let table = try files.evaluate(arguments + ["--at", "20,3"], ranks: 2)
        #expect(table.output.hasPrefix("targets later, step ") && table.output.contains("\nmetric           @3               @20\n"))
        #expect(table.count(ofErrors: "read as: pairs") == 2)
      }
    }

    /// The model's lists and those that `recommend` wrote are the same ones.
    @Test(arguments: ["csv", "tsv", "jsonl"]) func agreesWithWhatIsRecommended(format: String) throws {
      try withFiles { files, run in
        let lists = try Program.run(
          ["recommend", "--checkpoint", run, "--data", "before.txt", "--top-k", "50", "--format", format], in: files.folder)
        try #require(lists.status == 0, "\(lists.errors)")
        try files.write(lists.output, to: "lists")
        let targets = ["--data", "before.txt", "--targets", "later.txt", "--json"]
        let model = try json(files.evaluate(["--checkpoint", run] + targets))
        let predicted = try json(files.evaluate(["--predictions", "lists"] + targets, ranks: format == "csv" ? 2 : nil))
        // Equally popular items stand in the model's order there and in that of the data here.
        let keys = model.keys.filter { $0.hasSuffix("[full]") && !$0.hasPrefix("popularity/") }
        #expect(keys.count == 45)
        for key in keys { #expect(predicted[key] as? Double == model[key] as? Double, "\(key)") }
        #expect(predicted["users_without_predictions"] as? Int == 0 && predicted["step"] == nil)
      }
    }

    /// A held-out item's place in a list is its rank in the full protocol.
    @Test func agreesWithTheRankOfTheHeldOutItem() throws {
      try withFiles { files, run in
        try files.write("before.txt") { $0.dropLast() }
        let lists = try Program.run(
          ["recommend", "--checkpoint", run, "--data", "before.txt", "--top-k", "10", "--keep-seen"], in: files.folder)
        try #require(lists.status == 0, "\(lists.errors)")
        try files.write(lists.output, to: "lists.csv")
        let data = try TrainedDemo.shared.get().data
        let predicted = try json(files.evaluate(["--predictions", "lists.csv", "--data", data, "--at", "1,5,10", "--json"]))
        let ranked = try json(
          files.evaluate(["--checkpoint", run, "--data", data, "--protocol", "full", "--keep-seen", "--json"]))
        for key in ["hit@1", "hit@5", "hit@10", "ndcg@1", "ndcg@5", "ndcg@10"].map({ $0 + "[full]" }) {
          let (found, expected) = (predicted[key] as? Double ?? -1, ranked[key] as? Double ?? -2)
          #expect(abs(found - expected) < 1e-12, "\(key): \(found), \(expected)")
        }
      }
    }

    @Test func nothingIsDroppedInSilence() throws {
      try withFiles { files, run in
        let user0 = files.users[0].id
        try files.write("before.txt") { $0.dropLast(3) }
        let later = try files.text("later.txt").split(separator: "\n").filter { !$0.hasPrefix("\(files.users[1].id) ") }
        let extra = "\nstranger ring0-item1\n\(user0) brand-new\n\(user0) \(files.users[0].items[0])\n\(user0) brand-new\n"
        try files.write(later.joined(separator: "\n") + extra, to: "later.txt")
        let result = try files.evaluate(["--checkpoint", run, "--data", "before.txt", "--targets", "later.txt"], ranks: 2)
        for note in [
          "before is not the data that the model was trained on (demo)",
          "1 of 400 users have no history that the model knows: they get the most popular items",
          "rows of later give a user a target again, which counts once",
          "targets are items that are not known: they count as missed",
          "1 of 400 users have no history in the data: they count all the same",
          "1 of 400 users of the data have no targets: they are left out",
          "are in their user's history, which lists do not hold (unless --keep-seen): they count as missed",
        ] {
          #expect(result.output.components(separatedBy: note).count == 2, "\(note): \(result.output)")
        }
        try files.write("user,item,score\n\(user0),brand-new,1\n\(files.users[1].id),x,2\n\(user0),y,0.5\n", to: "lists.csv")
        let lists = try json(
          files.evaluate(["--predictions", "lists.csv", "--data", "before.txt", "--targets", "later.txt", "--json"], ranks: 2))
        #expect(lists["users"] as? Int == 400 && lists["users_without_predictions"] as? Int == 399)
        #expect(lists["predicted_users_without_targets"] as? Int == 1 && lists["unknown_targets"] as? Int == 1)
        // One user of 400 is hit, by an item that is new.
        #expect(lists["hit@1[full]"] as? Double == 1.0 / 400 && lists["coverage@50[full]"] as? Double == 0)
        let bare = try files.evaluate(["--predictions", "lists.csv", "--targets", "later.txt"])
        #expect(bare.output.contains("without --data there is no history") && !bare.output.contains("most popular\n"))
      }
    }

    @Test func refusals() throws {
      try withFiles { files, run in
        try files.write("user,item,score\nuser0,a,1\nuser0,b,2\nuser0,a,0\n", to: "twice.csv")
        try files.write("user,item,score\nsomebody,a,1\n", to: "others.csv")
        let model = ["--checkpoint", run, "--data", "before.txt"]
        let cases: [(arguments: [String], status: Int32, words: String)] = [
          (["--data", "before.txt"], 64, "Give either --checkpoint or --predictions."),
          (model + ["--predictions", "twice.csv"], 64, "Give either --checkpoint or --predictions."),
          (["--checkpoint", run], 64, "--data is missing"),
          (["--predictions", "twice.csv"], 64, "Give --targets, or --data"),
          (model + ["--at", "10"], 64, "--at is for --targets or --predictions"),
          (model + ["--targets", "later.txt", "--at", "10,0"], 64, "--at must be different whole numbers"),
          (model + ["--targets", "later.txt", "--at", "5,5"], 64, "--at must be different whole numbers"),
          (model + ["--targets", "later.txt", "--split", "test"], 64, "--split is of held-out items"),
          (model + ["--targets", "later.txt", "--protocol", "pop100"], 64, "--protocol can only be full"),
          (["--predictions", "-", "--targets", "-"], 64, "Standard input (-) is given twice"),
          (["--predictions", "twice.csv", "--targets", "later.txt", "--threads", "2"], 64, "--threads is for a model"),
          (["--predictions", "twice.csv", "--targets", "later.txt"], 65, "error: twice.csv:4: the item \"a\" is recommended twice"),
          (["--predictions", "others.csv", "--targets", "later.txt"], 65, "error: none of the 1 users of others.csv"),
          (["--predictions", "absent.csv", "--targets", "later.txt"], 66, "error: cannot read absent.csv"),
          (model + ["--targets", "absent.txt"], 66, "error: cannot read absent.txt"),
        ]
        for (arguments, status, words) in cases {
          let result = try Program.run(["evaluate"] + arguments, in: files.folder)
          #expect(result.status == status && result.output.isEmpty, "\(arguments): \(result.status)")
          #expect(result.count(ofErrors: words) == 1, "\(arguments): \(result.errors)")
        }
        for arguments in [cases[11].arguments, cases[14].arguments] {
          let result = try Program.mpirun(ranks: 2, ["evaluate"] + arguments, in: files.folder)
          #expect(result.status != 0 && result.count(ofErrors: "error: ") == 1, "\(result.errors)")
        }
      }
    }
  }
}
