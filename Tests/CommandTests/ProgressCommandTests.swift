import Foundation
import Testing

extension CommandTests {
  /// What a user sees while the program works.
  @Suite struct ProgressLines {
    private static let small = settings(["num_train_steps": 40, "eval_every": 20, "save_checkpoints_steps": 20, "report_steps": 10])

    /// A terminal, as `script` of util-linux makes one.
    private func onATerminal(_ arguments: [String], environment: [String: String] = [:], in folder: String) throws -> CommandResult {
      let words = ([Program.path] + arguments).joined(separator: " ")
      // Those that start this process must not look like a launcher.
      let names = ["OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "SLURM_JOB_ID"].flatMap { ["-u", $0] }
      return try Program.execute(
        "/usr/bin/env", names + ["script", "-qec", words, "/dev/null"], environment: ["TERM": "xterm"].merging(environment) { $1 },
        in: folder)
    }

    /// What was drawn on each line of a terminal, one over the other.
    private func drawn(_ bytes: Data) -> [[String]] {
      bytes.split(separator: 0x0A).map { line in
        String(decoding: line, as: UTF8.self).components(separatedBy: "\u{1B}[K").map { $0.trimmingCharacters(in: ["\r"]) }
      }
    }

    private static let hasScript = FileManager.default.isExecutableFile(atPath: "/usr/bin/script")

    @Test(.enabled(if: hasScript, "no script (util-linux) to make a terminal with"))
    func aTerminalHasOneLineThatMoves() throws {
      try Program.withTemporaryFolder { folder in
        let more = settings(["num_train_steps": 3000, "eval_every": 1500, "save_checkpoints_steps": 1500])
        let result = try onATerminal(["train", "--threads", "1"] + more, environment: ["NO_COLOR": "1"], in: folder)
        #expect(result.status == 0, "\(result.output)")
        let lines = drawn(result.outputBytes)
        let status = lines.flatMap { $0.dropLast() }
        let form = /step \d+\/3000  epoch \d+  loss [\d.]+  \d+ instances\/s  .* left.*/
        #expect(status.contains { $0.wholeMatch(of: form) != nil }, "\(status)")
        // No colours, and nothing longer than a line of the terminal.
        #expect(!result.output.contains("\u{1B}[3") && !result.output.contains("\u{1B}[1"))
        #expect(status.allSatisfy { $0.count < 80 })
        // What stays on the screen are whole lines: whatever was drawn there before is wiped.
        let screen = lines.compactMap(\.last)
        #expect(screen.contains { $0.hasPrefix("step 3000/3000") } && !screen.contains { $0.hasPrefix("step 1/3000") })
        #expect(screen.contains { $0.hasPrefix("test split, step") } && screen.last?.hasPrefix("      bert4rec-dist recommend") == true)
      }
    }

    @Test func aFileGetsWholeLinesAndNoReportPerTenSteps() throws {
      try Program.withTemporaryFolder { folder in
        let result = try Program.run(["train", "--run", "run", "--threads", "1"] + Self.small, in: folder)
        #expect(result.status == 0 && !result.errors.contains("\r") && !result.errors.contains("\u{1B}"), "\(result.errors)")
        let steps = result.errors.split(separator: "\n").filter { $0.hasPrefix("step ") }
        #expect(steps.first?.hasPrefix("step 1/40  epoch 0  loss ") == true && steps.first?.hasSuffix(" left") == true, "\(steps)")
        #expect(steps.last?.hasPrefix("step 40/40  ") == true, "\(steps)")
        #expect(result.count(ofErrors: "validation of step 20 begins\n") == 1)
        #expect(result.count(ofErrors: "validation of step 40: ndcg@10[full] 0.") == 1)
        // The original's line is of the test alone, once per protocol.
        #expect(result.output.split(separator: "\n").filter { $0.contains("valid_user:") }.count == 3)
        #expect(!result.errors.contains("valid_user:"))
        #expect(try RunFiles(folder + "/run").reportedSteps == [1, 10, 20, 30, 40])
        #expect(result.lines.filter { $0.contains("model ") || $0.contains("popular ") }.allSatisfy { $0.count <= 80 })
      }
    }

    @Test func verboseHasALinePerReportAndNoneTheEndAlone() throws {
      try Program.withTemporaryFolder { folder in
        func steps(_ more: [String]) throws -> (steps: [Substring], errors: String) {
          let result = try Program.run(["train", "--run", UUID().uuidString, "--threads", "1"] + more + Self.small, in: folder)
          #expect(result.status == 0, "\(result.errors)")
          return (result.errors.split(separator: "\n").filter { $0.hasPrefix("step ") }, result.errors)
        }
        let verbose = try steps(["--verbose"])
        #expect(verbose.steps.count == 5 && verbose.errors.components(separatedBy: "valid_user:").count == 7, "\(verbose.errors)")
        #expect(try steps(["--progress", "none"]).steps.count == 1)
      }
    }

    @Test func theRanksOwnWorkIsSaidAtTheEnd() throws {
      try Program.withTemporaryFolder { folder in
        let result = try Program.mpirun(ranks: 2, ["train", "--threads", "1"] + Self.small, in: folder)
        #expect(result.status == 0 && result.count(ofErrors: "own work per step: median of the ranks ") == 1, "\(result.errors)")
        #expect(result.errors.firstMatch(of: /slowest [\d.]+ s \(rank [01], .+\)\n/) != nil)
        #expect(result.count(ofErrors: "step 40/40") == 1)
      }
    }
  }
}
