import Foundation
import Testing

extension CommandTests {
  /// What a file is, said once, holds for training, for what resumes it, and for what its model is used for.
  @Suite struct BroughtData {
    private static let small = Outside.small

    /// Two files of a shop's log whose columns nobody could guess.
    private func withFiles(_ body: (_ folder: String) throws -> Void) throws {
      try Program.withTemporaryFolder { folder in
        for part in 0..<2 {
          var text = "kunde;ware;wann\n"
          for row in 0..<120 { text += "k\(row % 9);w\(row * 7 % 13 + part);\(1 + row % 28)/\(1 + row % 12)/2021\n" }
          try text.write(toFile: folder + "/part-\(part).csv", atomically: true, encoding: .utf8)
        }
        try body(folder)
      }
    }

    private static let keys = ["--set", "data_columns=user=kunde,item=ware,time=wann", "--set", "data_time_format=%d/%m/%Y"]
    private static let options = ["--columns", "user=kunde,item=ware,time=wann", "--time-format", "%d/%m/%Y"]

    @Test func severalFilesTrainResumeEvaluateRecommend() throws {
      try withFiles { folder in
        let data = ["--data", "part-0.csv", "part-1.csv"]
        let prepared = try Program.run(["prepare", "part-*.csv", "--output", "set"] + Self.options, in: folder)
        #expect(prepared.status == 0, "\(prepared.errors)")
        let stopped = try Program.run(["train", "--run", "run", "--stop-after", "3"] + data + Self.keys + Self.small, in: folder)
        #expect(stopped.status == 75, "\(stopped.errors)")
        #expect(stopped.errors.contains("part-1.csv: read as: columns separated by semicolons with a header"))
        let run = RunFiles(folder + "/run")
        #expect(try run.text("config.yaml").contains("data: \"part-0.csv\\npart-1.csv\"\n"))
        #expect(try run.text("config.yaml").contains("data_time_format: \"%d/%m/%Y\"\n"))
        let resumed = try Program.run(["train", "--run", "run"], in: folder)
        #expect(resumed.status == 0 && resumed.errors.contains("3 of 6 steps are done"), "\(resumed.errors)")
        // The same data, however it is given.
        let other = try Program.run(["train", "--run", "other", "--data", "set"] + Self.small, in: folder)
        #expect(other.status == 0, "\(other.errors)")
        #expect(try RunFiles(folder + "/other").hash == run.hash)

        // Said as `prepare` has it; the run keeps it under the keys' names.
        let said = try Program.run(["train", "--run", "said", "--stop-after", "3"] + data + Self.options + Self.small, in: folder)
        #expect(said.status == 75, "\(said.errors)")
        let goesOn = try Program.run(["train", "--run", "said"], in: folder)
        #expect(goesOn.status == 0, "\(goesOn.errors)")
        #expect(try RunFiles(folder + "/said").text("config.yaml") == run.text("config.yaml"))
        #expect(try RunFiles(folder + "/said").hash == run.hash)

        // What the model was trained on is read as it was then; another name of it is not known.
        let evaluated = try Program.run(["evaluate", "--checkpoint", "run", "--json"] + data, in: folder)
        #expect(evaluated.status == 0, "\(evaluated.errors)")
        #expect(try Program.run(["evaluate", "--checkpoint", "run", "--data", "part-*.csv"], in: folder).status == 65)
        let named = try Program.run(["evaluate", "--checkpoint", "run", "--json", "--data", "part-*.csv"] + Self.options, in: folder)
        #expect(named.status == 0 && named.output == evaluated.output, "\(named.errors)")
        let lists = try Program.run(
          ["recommend", "--checkpoint", "run", "--histories", "-", "--format", "lists", "--format", "tsv", "--top-k", "2"],
          input: "neu w1 w2 w3\n", in: folder)
        #expect(lists.status == 0 && lists.lines.count == 3 && lists.lines[1].hasPrefix("neu\t"), "\(lists.errors)")
        let objects = try Program.run(
          ["recommend", "--checkpoint", "run", "--histories", "-", "--format", "tsv", "--top-k", "2"],
          input: "{\"user\": \"neu\", \"items\": [\"w1\", \"w2\", \"w3\"]}\n", in: folder)
        #expect(objects.output == lists.output, "\(objects.errors)")
        let numbers = try Program.run(["recommend", "--checkpoint", "run", "--histories", "-"], input: "neu w1 w2 w3\n", in: folder)
        #expect(numbers.status == 65 && numbers.errors.contains("--data-format lists") && numbers.output.isEmpty, "\(numbers.errors)")
      }
    }

    @Test func filesOneAfterTheOtherAreAllRead() throws {
      try Program.withTemporaryFolder { folder in
        for part in 0..<2 {
          let rows = (0..<60).map { "u\($0 % 5 + 10 * part) i\($0 % 7)\n" }.joined()
          try rows.write(toFile: folder + "/\(part).txt", atomically: true, encoding: .utf8)
        }
        let result = try Program.mpirun(
          ranks: 2, ["train", "--run", "run", "--data", "0.txt", "--data", "1.txt"] + Self.small, in: folder)
        #expect(result.status == 0 && result.errors.contains("0: 10 users, 7 items"), "\(result.errors)")
        let input = try String(contentsOfFile: folder + "/0.txt", encoding: .utf8)
        let piped = try Program.run(["train", "--run", "piped", "--data", "-"] + Self.small, input: input, in: folder)
        #expect(piped.status == 0 && piped.errors.contains("data: 5 users, 7 items"), "\(piped.errors)")
      }
    }

    /// Names that users of other libraries know.
    @Test(arguments: [
      ("n_heads", "num_attention_heads"), ("n_layers", "num_hidden_layers"), ("mask_ratio", "masked_lm_prob"),
      ("MAX_ITEM_LIST_LENGTH", "max_seq_length"), ("epochs", "num_train_epochs"), ("lr", "learning_rate"), ("max_len", "max_seq_length"),
      ("dropout", "hidden_dropout_prob"), ("session_max_len", "max_seq_length"),
    ])
    func otherNamesOfKeys(_ theirs: String, _ ours: String) throws {
      let result = try Program.run(["train", "--set", "\(theirs)=2"])
      #expect(result.status == 64 && result.errors.contains("unknown key \"\(theirs)\"; it is called \"\(ours)\" here"), "\(result.errors)")
    }

    @Test func wrongSettings() throws {
      let monitor = try Program.run(["train", "--set", "monitor=ndcg@10"])
      #expect(monitor.status == 64 && monitor.errors.contains("do you mean \"ndcg@10[full]\"?"), "\(monitor.errors)")
      let format = try Program.run(["train", "--data", "x", "--set", "data_format=excel"])
      #expect(format.status == 64 && format.errors.contains("data_format: no format is called \"excel\""), "\(format.errors)")
    }
  }
}
