import Foundation
import Testing

extension CommandTests {
  @Suite struct ReportPages {
    /// A copy of the trained demo's run folder, which may be damaged.
    private func withRun<R>(_ body: (_ folder: String, _ run: RunFiles) throws -> R) throws -> R {
      let demo = try TrainedDemo.shared.get()
      return try Program.withTemporaryFolder { folder in
        try FileManager.default.copyItem(atPath: demo.run.path, toPath: folder + "/demo")
        return try body(folder, RunFiles(folder + "/demo"))
      }
    }

    @Test(arguments: [nil, 2]) func aRunBecomesAPageWithTitles(ranks: Int?) throws {
      try withRun { folder, run in
        try "item_id,title\nring0-item0,<b>The & first</b>\nring4-item12,Twelve\n"
          .write(toFile: folder + "/titles.csv", atomically: true, encoding: .utf8)
        let arguments = ["report", "--run", "demo", "--items", "titles.csv"]
        let result = try ranks.map { try Program.mpirun(ranks: $0, arguments, in: folder) } ?? Program.run(arguments, in: folder)
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.count(ofErrors: "report written to demo/report.html") == 1)
        let page = try run.text("report.html")
        #expect(page.hasPrefix("<!DOCTYPE html>") && page.hasSuffix("</html>\n"))
        let test = try run.evaluation("test")
        let value = try #require(test["ndcg@10[full]"] as? Double)
        #expect(page.contains("<td>\(String(format: "%.4f", value))</td>"))
        #expect(page.components(separatedBy: "<div class=\"card user\">").count == 11)
        for text in ["Training loss", "Twelve", "most popular", "batch_size", "1,500 steps, finished"] {
          #expect(page.contains(text), "\(text)")
        }
        for text in ["<script", "http:", "https:", "<b>The", "What is missing"] { #expect(!page.contains(text), "\(text)") }
      }
    }

    @Test func runsBesideEachOther() throws {
      try withRun { folder, run in
        try FileManager.default.copyItem(atPath: run.path, toPath: folder + "/other")
        let path = folder + "/other/config.yaml"
        try String(contentsOfFile: path, encoding: .utf8).replacing("batch_size: 64", with: "batch_size: 32")
          .write(toFile: path, atomically: true, encoding: .utf8)
        let result = try Program.run(["report", "--run", "demo", "--compare", "other", "--output", "both.html"], in: folder)
        #expect(result.status == 0, "\(result.errors)")
        let page = try String(contentsOfFile: folder + "/both.html", encoding: .utf8)
        #expect(page.contains("<td class=\"key\">batch_size</td><td class=\"changed\">64</td><td class=\"changed\">32</td>"))
      }
    }

    @Test func whatIsDamagedOrMissingIsSaidAndLeftOut() throws {
      try withRun { folder, run in
        let path = run.path + "/metrics.jsonl"
        let lines = try run.text("metrics.jsonl").split(separator: "\n")
        try ([lines[0], "{\"step\":7,\"loss\":<i>}", ""] + lines.dropFirst()).joined(separator: "\n").dropLast(9)
          .write(toFile: path, atomically: true, encoding: .utf8)
        for checkpoint in try run.checkpoints { try Damage.cutShort.apply(to: run.path + "/checkpoints/\(checkpoint)/trainer.json") }
        let result = try Program.run(["report", "--run", "demo"], in: folder)
        #expect(result.status == 0, "\(result.errors)")
        let page = try run.text("report.html")
        for words in ["demo/metrics.jsonl:2: skipped", "demo/metrics.jsonl:3: skipped", "trainer.json", "no example users"] {
          #expect(result.errors.contains(words) && page.contains(words), "\(words)")
        }
        #expect(page.contains("Training loss") && !page.contains("card user") && !page.contains("<i>}"))
        // The metrics as they were: reading changes nothing.
        #expect(try run.text("metrics.jsonl").contains("<i>}"))
      }
    }

    @Test func refusals() throws {
      try withRun { folder, run in
        let before = try run.text("metrics.jsonl")
        let cases: [([String], Int32, String)] = [
          (["--run", "absent"], 66, "absent: no such folder"),
          (["--run", "."], 66, "no run folder"),
          (["--run", "demo", "--compare", "absent"], 66, "absent: no such folder"),
          (["--run", "demo", "--items", "absent.csv"], 66, "absent.csv"),
          (["--run", "demo", "--data", "absent.csv"], 66, "absent.csv"),
          (["--run", "demo", "--output", "demo/metrics.jsonl"], 64, "is no HTML page"),
          (["--run", "demo", "--output", "demo"], 64, "is a folder"),
          (["--run", "demo", "--output", "absent/page.html"], 74, "absent/page.html"),
          (["--run", "demo", "--compare"] + [String](repeating: "demo", count: 8), 64, "at most 7"),
        ]
        for (arguments, status, words) in cases {
          let result = try Program.run(["report"] + arguments, in: folder)
          #expect(result.status == status && result.errors.contains(words), "\(arguments): \(result.status) \(result.errors)")
        }
        #expect(try run.text("metrics.jsonl") == before)
        #expect(!FileManager.default.fileExists(atPath: run.path + "/report.html"))
      }
    }
  }
}
