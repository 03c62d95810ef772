import Foundation
import Testing

extension CommandTests {
  /// Splits by time and filters, from the raw file to the last table.
  @Suite struct SplitTime {
    private static let settings = Outside.small
    private static let split = "2021-03-01"

    /// log.csv, with shuffled rows: 40 users along a ring of 30 items; some come after the split only, some are gone by then.
    private func withLog(_ body: (String) throws -> Void) throws {
      try Program.withTemporaryFolder { folder in
        var rows: [String] = []
        for user in 0..<40 {
          let (first, last) = (user % 10 == 7 ? 70 : 0, user % 10 == 4 ? 50 : 90)
          for day in stride(from: first + user % 7, to: last, by: 4 + user % 3) {
            let date = String(format: "2021-%02d-%02d", 1 + day / 28, 1 + day % 28)
            rows.append("u\(user),i\((user + day / 3) % (day > 70 ? 33 : 30)),\(1 + day % 5),\(day % 9 == 0 ? "view" : "buy"),\(date)")
          }
        }
        rows.sort { $0.utf8.reduce(5) { $0 &* 31 &+ Int($1) } < $1.utf8.reduce(5) { $0 &* 31 &+ Int($1) } }
        let text = "user_id,item_id,rating,event,date\n" + rows.joined(separator: "\n") + "\n"
        try text.write(toFile: folder + "/log.csv", atomically: true, encoding: .utf8)
        try body(folder)
      }
    }

    private func run(_ arguments: [String], in folder: String, status: Int32 = 0, ranks: Int? = nil) throws -> CommandResult {
      let result = try ranks.map { try Program.mpirun(ranks: $0, arguments, in: folder) } ?? Program.run(arguments, in: folder)
      try #require(result.status == status, "\(arguments): \(result.status) \(result.errors)")
      return result
    }

    private func train(_ folder: String, _ name: String, _ more: [String], status: Int32 = 0, ranks: Int? = nil) throws -> CommandResult {
      try run(["train", "--run", name] + Self.settings + more, in: folder, status: status, ranks: ranks)
    }

    private func json(_ result: CommandResult) throws -> [String: Any] {
      let line = try #require(result.lines.last)
      return try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    }

    /// The same model as of a file that ends at the split, and the same numbers as with the targets in a file of their own.
    @Test func trainingSeesWhatIsBefore() throws {
      try withLog { folder in
        let prepared = try run(
          ["prepare", "log.csv", "--split-time", Self.split, "--output", "before", "--write-targets", "later.txt"], in: folder)
        #expect(prepared.output.contains("\nsplit at                  2021-03-01T00:00:00Z: "), "\(prepared.output)")
        #expect(prepared.output.contains("of these users have no history, "))
        let whole = try train(folder, "whole", ["--data", "log.csv", "--split-time", Self.split, "--set", "holdout=test"])
        let parts = try train(folder, "parts", ["--data", "before", "--set", "holdout=none"])
        #expect(parts.output.contains("holdout is none"))
        #expect(try RunFiles(folder + "/whole").hash == RunFiles(folder + "/parts").hash)

        let asTrained = try run(["evaluate", "--checkpoint", "whole", "--data", "log.csv", "--json"], in: folder)
        let named = try run(
          ["evaluate", "--checkpoint", "parts", "--data", "before", "--targets", "later.txt", "--json"], in: folder, ranks: 2)
        // But for the name of the targets in a note.
        func numbers(_ result: CommandResult) -> Substring? { result.output.components(separatedBy: "\"notes\"").first?[...] }
        #expect(numbers(asTrained) == numbers(named), "\(asTrained.output) \(named.output)")
        // An option says the same; a split without the run's own knowledge, too.
        let option = ["--split-time", "1614556800"]
        let said = try run(["evaluate", "--checkpoint", "parts", "--data", "log.csv", "--json"] + option, in: folder, ranks: 2)
        #expect(said.output == asTrained.output)
        let report = try json(asTrained)
        #expect((report["users_without_history"] as? Int ?? 0) > 0 && (report["unknown_targets"] as? Int ?? 0) > 0)
        #expect((report["users_without_targets"] as? Int ?? 0) > 0)
        // What training said last is that table, and metrics.jsonl has it.
        let table = try run(["evaluate", "--checkpoint", "whole", "--data", "log.csv"], in: folder)
        #expect(whole.output.hasPrefix(table.output), "\(whole.output)\n\(table.output)")
        #expect(table.output.hasPrefix("targets log from 2021-03-01T00:00:00Z on, step "), "\(table.output)")
        let line = try RunFiles(folder + "/whole").evaluation("test")
        for key in ["hit@10[full]", "ndcg@50[full]", "popularity/map@5[full]"] {
          #expect(line[key] as? Double == report[key] as? Double && line[key] != nil, "\(key)")
        }
        // Another program's lists are measured against the same targets.
        let lists = try run(["recommend", "--checkpoint", "parts", "--data", "before", "--top-k", "50"], in: folder)
        try lists.output.write(toFile: folder + "/lists.csv", atomically: true, encoding: .utf8)
        let predicted = try json(run(["evaluate", "--predictions", "lists.csv", "--data", "log.csv", "--json"] + option, in: folder))
        #expect(predicted["users"] as? Int == report["users"] as? Int && predicted["targets"] as? Int == report["targets"] as? Int)
      }
    }

    @Test func theLastItemBeforeItValidates() throws {
      try withLog { folder in
        let split = ["--data", "log.csv", "--split-time", Self.split]
        let alone = try train(folder, "alone", split)
        let ranks = try train(folder, "ranks", split, ranks: 2)
        #expect(alone.output.split(separator: "\n").dropLast(3) == ranks.output.split(separator: "\n").dropLast(3))
        let files = (RunFiles(folder + "/alone"), RunFiles(folder + "/ranks"))
        #expect(try files.0.comparableLines == files.1.comparableLines)
        // One item is held out of training, and not two.
        _ = try run(["prepare", "log.csv", "--before", Self.split, "--output", "before"], in: folder)
        _ = try train(folder, "other", ["--data", "before", "--set", "holdout=test"])
        #expect(try files.0.hash == RunFiles(folder + "/other").hash)
        let validation = try files.0.evaluation("validation")
        let test = try RunFiles(folder + "/other").evaluation("test")
        #expect(validation["users"] as? Int == test["users"] as? Int)
        for step in [2, 6] {
          let checkpoint = String(format: "alone/checkpoints/step-%08d", step)
          guard FileManager.default.fileExists(atPath: folder + "/" + checkpoint) else { continue }
          let again = try json(
            run(["evaluate", "--checkpoint", checkpoint, "--data", "log.csv", "--split", "validation", "--json"], in: folder, ranks: 2))
          let line = try #require(try files.0.lines.last { $0["split"] as? String == "validation" && $0["step"] as? Int == step })
          for key in ["hit@10[full]", "ndcg@10[pop100]", "mrr[uniform100]"] {
            #expect(again[key] as? Double == line[key] as? Double && line[key] != nil, "\(key)")
          }
        }
      }
    }

    @Test func aRunKeepsItsSplitAndFilters() throws {
      try withLog { folder in
        let kept =
          ["--data", "log.csv", "--split-time", Self.split]
          + ["data_events=buy", "data_min_rating=2", "data_min_item_count=2", "data_drop_duplicates=true", "data_after=2021-01-03"]
          .flatMap { ["--set", $0] }
        let whole = try train(folder, "whole", kept)
        for words in ["rows of other events than --events", "rows below --min-rating", "rows before --after", "split at "] {
          #expect(whole.count(ofErrors: words) == 1, "\(words): \(whole.errors)")
        }
        let stopped = try train(folder, "run", kept + ["--stop-after", "3"], status: 75, ranks: 2)
        #expect(stopped.count(ofErrors: "rows below --min-rating") == 1)
        let config = try RunFiles(folder + "/run").text("config.yaml")
        for line in ["split_time: 2021-03-01T00:00:00Z", "data_events: \"buy\"", "data_min_rating: 2.0", "data_min_item_count: 2"] {
          #expect(config.contains("\n\(line)\n"), "\(line): \(config)")
        }
        let resumed = try run(["train", "--run", "run"], in: folder)
        #expect(resumed.errors.contains("3 of 6 steps are done") && resumed.errors.contains("rows below --min-rating"), "\(resumed.errors)")
        #expect(try RunFiles(folder + "/run").comparableLines == RunFiles(folder + "/whole").comparableLines)
        // As a folder that prepare has written.
        let filters = ["--events", "buy", "--min-rating", "2", "--min-item-count", "2", "--drop-duplicates", "--after", "2021-01-03"]
        _ = try run(["prepare", "log.csv", "--output", "set", "--split-time", Self.split] + filters, in: folder)
        _ = try train(folder, "set-run", ["--data", "set", "--set", "holdout=test"])
        #expect(try RunFiles(folder + "/set-run").hash == RunFiles(folder + "/whole").hash)
        // Other files later, the same before: the run does not see the difference. Another split is another run.
        let more = try String(contentsOfFile: folder + "/log.csv", encoding: .utf8) + "u3,i3,5,buy,2021-12-24\n"
        try more.write(toFile: folder + "/log.csv", atomically: true, encoding: .utf8)
        let finished = try run(["train", "--run", "whole"], in: folder)
        #expect(finished.errors.contains("is finished"), "\(finished.errors)")
        let another = try run(["train", "--run", "whole", "--split-time", "2021-03-02"], in: folder, status: 64)
        #expect(another.count(ofErrors: "error: ") == 1, "\(another.errors)")
        // Recommendations are of whole histories, with the filters of the run.
        let lists = try run(["recommend", "--checkpoint", "whole", "--data", "log.csv", "--top-k", "2"], in: folder)
        #expect(lists.count(ofErrors: "rows below --min-rating") == 1 && lists.count(ofErrors: "split at ") == 0, "\(lists.errors)")
        #expect(lists.lines.contains { $0.hasPrefix("u17,") }, "\(lists.output)")
      }
    }

    @Test func refusals() throws {
      try withLog { folder in
        _ = try run(["prepare", "log.csv", "--output", "set"], in: folder)
        _ = try train(folder, "run", ["--data", "log.csv", "--split-time", Self.split])
        let model = ["evaluate", "--checkpoint", "run", "--data", "log.csv"]
        let cases: [(arguments: [String], status: Int32, words: String)] = [
          (["train", "--data", "log.csv", "--split-time", "soon"], 64, "--split-time: split_time is \"soon\", but must be 2014-07-23"),
          (["train", "--data", "log.csv", "--split-time", ""], 64, "--split-time: split_time is \"\", but must be"),
          (["train", "--data", "log.csv", "--split-time", "2031-01-01"], 65, "so there is nothing to test on; they are from 2021-01-01"),
          (
            ["train", "--data", "log.csv", "--split-time", "2021-02-01", "--set", "holdout=none"], 64, "split_time (--split-time) holds out"
          ),
          (["train", "--data", "set", "--split-time", "2021-02-01"], 64, "set is a prepared folder, which has no times"),
          (["train", "--split-time", "2021-02-01"], 64, "builtin:demo has no times"),
          (["train", "--set", "data_min_user_count=2"], 64, "builtin:demo has no times"),
          (["train", "--data", "set", "--set", "data_last=2"], 64, "filters are for the files that it was made of"),
          (["train", "--data", "log.csv", "--set", "data_last=0"], 64, "data_last is \"0\", but must be a whole number from 1, or none"),
          (["train", "--data", "log.csv", "--set", "data_drop_duplicates=yes"], 64, "must be true or false"),
          (["train", "--data", "log.csv", "--set", "data_min_rating=nan"], 64, "must be a number, or none"),
          (["train", "--data", "log.csv", "--set", "data_before=x"], 64, "data_before is \"x\", but must be 2014-07-23"),
          (["prepare", "log.csv", "--split-time", "x"], 64, "--split-time: \"x\" is no time"),
          (["prepare", "log.csv", "--write-targets", "x"], 64, "--write-targets needs --split-time"),
          (["prepare", "log.csv", "--split-time", "2021-02-01", "--write-targets", "log.csv"], 64, "--write-targets log.csv is an input"),
          (model + ["--protocol", "pop100"], 64, "--protocol can only be full"),
          (model + ["--split-time", "none", "--at", "3"], 64, "--at is for --targets or --predictions, or a split by time"),
          (model + ["--split-time", "x"], 64, "--split-time: \"x\" is no time"),
          (model + ["--split-time", "2021-02-01", "--targets", "log.csv"], 64, "give one of the two"),
          (
            ["evaluate", "--predictions", "log.csv", "--targets", "log.csv", "--split-time", "2021-02-01"], 64, "--split-time is of --data"
          ),
        ]
        for (arguments, status, words) in cases {
          let result = try Program.run(arguments, in: folder)
          #expect(result.status == status && result.output.isEmpty, "\(arguments): \(result.status) \(result.output)")
          #expect(result.count(ofErrors: words) == 1, "\(arguments): \(result.errors)")
        }
        for arguments in [cases[2].arguments, cases[15].arguments] {
          let result = try Program.mpirun(ranks: 2, arguments, in: folder)
          #expect(result.status != 0 && result.count(ofErrors: "error: ") == 1, "\(result.errors)")
        }
        // The whole file, as without a split: its last items were not trained on.
        let whole = try run(model + ["--split-time", "none", "--json"], in: folder)
        #expect(try json(whole)["hit@10[pop100]"] != nil, "\(whole.output)")
      }
    }
  }
}
