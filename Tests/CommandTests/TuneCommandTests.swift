import Foundation
import Testing

extension CommandTests {
  @Suite struct Tune {
    private static let space = """
      learning_rate: {from: 1e-4, to: 1e-2, scale: log}
      hidden_dropout_prob: [0.1, 0.2]
      """
    private static let arguments =
      [
        "tune", "--space", "space.yaml", "--budget", "0.03", "--trials", "3", "--run", "search", "--threads", "1",
      ] + settings(["batch_size": 16, "gradient_shards": 4, "num_warmup_steps": 5])

    private func table(_ folder: String) throws -> [[Substring]] {
      let text = try String(contentsOfFile: folder + "/search/trials.tsv", encoding: .utf8)
      return text.split(separator: "\n").dropFirst(2).map { $0.split(separator: "\t", omittingEmptySubsequences: false) }
    }

    private func withSpace(_ body: (String) throws -> Void) throws {
      try Program.withTemporaryFolder { folder in
        try Self.space.write(toFile: folder + "/space.yaml", atomically: true, encoding: .utf8)
        try body(folder)
      }
    }

    @Test(arguments: [1, 2]) func theBestTrialIsFoundAndTheTestItemsAreNot(ranks: Int) throws {
      try withSpace { folder in
        let result =
          ranks == 1
          ? try Program.run(Self.arguments, in: folder) : try Program.mpirun(ranks: ranks, Self.arguments, in: folder)
        try #require(result.status == 0, "\(result.errors)")
        let rows = try table(folder)
        // Three trials, then the best of them again.
        #expect(rows.map { "\($0[0]) \($0[1])" }.dropLast() == ["0 0", "0 1", "0 2"])
        let scores = try rows.map { try #require(Double($0[3])) }
        let best = try #require(scores[..<3].indices.max { (scores[$0], $1) < (scores[$1], $0) })
        #expect(rows[3][0] == "1" && rows[3][1] == "\(best)")
        #expect(rows[0][5].isEmpty && rows[1][5].hasPrefix("learning_rate="))
        let steps = try rows.map { try #require(Int($0[2])) }
        #expect(steps.allSatisfy { $0 >= 4 })
        for row in rows {
          // A curve of at most four validations; no line of the test items.
          #expect((1...4).contains(row[4].split(separator: " ").count))
          let name = "rung-\((Int(row[0]) ?? 0) + 1)-trial-\(row[1])"
          let metrics = try String(contentsOfFile: "\(folder)/search/\(name)/metrics.jsonl", encoding: .utf8)
          #expect(metrics.contains("\"validation\"") && !metrics.contains("\"test\""))
        }
        let yaml = try String(contentsOfFile: folder + "/search/best.yaml", encoding: .utf8)
        #expect(yaml.contains("num_train_steps: \(steps[3])\n"))
        for setting in rows[3][5].split(separator: " ") {
          #expect(yaml.contains(setting.replacing("=", with: ": ")), "\(setting)")
        }
        #expect(result.output.contains("best: trial \(best)"))
      }
    }

    /// A table whose last line says that its trial was running when the program was killed.
    @Test func anInterruptedSearchIsResumed() throws {
      try withSpace { folder in
        let first = try Program.run(Self.arguments, in: folder)
        try #require(first.status == 0, "\(first.errors)")
        let path = folder + "/search/trials.tsv"
        let whole = try String(contentsOfFile: path, encoding: .utf8)
        var lines = whole.split(separator: "\n").map(String.init)
        var fields = try #require(lines.last).split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
        (fields[3], fields[4]) = ("running", "")
        lines[lines.count - 1] = fields.joined(separator: "\t")
        try (lines.joined(separator: "\n") + "\n").write(toFile: path, atomically: true, encoding: .utf8)
        try FileManager.default.removeItem(atPath: "\(folder)/search/rung-2-trial-\(fields[1])")
        let second = try Program.run(Self.arguments, in: folder)
        #expect(second.status == 0, "\(second.errors)")
        // The same bits: the steps are those that the table names, not measured again.
        #expect(try String(contentsOfFile: path, encoding: .utf8) == whole)
        #expect(second.output == first.output)
        #expect(second.errors.contains("rung-2-trial-") && !second.errors.contains("rung-1-trial-"))

        let other = try Program.run(Self.arguments + ["--set", "hidden_size=16"], in: folder)
        #expect(other.status == 64 && other.errors.contains("of another search"))
      }
    }

    @Test func aSpaceThatIsNoneIsRefused() throws {
      try withSpace { folder in
        let missing = try Program.run(["tune", "--space", "none.yaml"], in: folder)
        #expect(missing.status == 66 && missing.errors.contains("none.yaml"))
        try "threads: [1]".write(toFile: folder + "/space.yaml", atomically: true, encoding: .utf8)
        let wrong = try Program.run(Self.arguments, in: folder)
        #expect(wrong.status == 64 && wrong.count(ofErrors: "cannot be searched") == 1)
        #expect(!FileManager.default.fileExists(atPath: folder + "/search"))
      }
    }
  }
}
