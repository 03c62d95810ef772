import Foundation
import SystemSupport
import Testing

extension CommandTests {
  /// The newest checkpoint of a run is damaged: it is named in one line and left untouched, the one before it is gone on
  /// from, and the run ends as if nothing had happened. Which damage is found: CheckpointsTests.
  @Suite struct DamagedCheckpoints {
    /// A finished run of 40 steps.
    private static let finished = Result { try FinishedRun() }

    private struct FinishedRun {
      let folder = FileManager.default.temporaryDirectory.appendingPathComponent("bert4rec-\(UUID().uuidString)").path

      init() throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        atexit {
          if case .success(let run) = DamagedCheckpoints.finished {
            try? FileManager.default.removeItem(atPath: run.folder)
          }
        }
        let result = try Program.run(["train", "--run", "run", "--threads", "1"] + Resume.forty, in: folder)
        try #require(result.status == 0, "\(result.errors)")
      }
    }

    /// Names and hashes of a checkpoint's files.
    private func contents(_ folder: String) throws -> [String] {
      try FileManager.default.subpathsOfDirectory(atPath: folder).sorted().map { name in
        let bytes = FileManager.default.contents(atPath: folder + "/" + name)
        return name + " " + (bytes.map { sha256Hex(Array($0)) } ?? "")
      }
    }

    /// Damages the last checkpoint of a finished run, resumes to step 35, looks, and resumes to the end.
    private func survive(
      ranks: Int? = nil, naming words: String, _ damage: (_ checkpoint: String) throws -> Void
    ) throws {
      try Program.withTemporaryFolder { folder in
        try FileManager.default.copyItem(atPath: Self.finished.get().folder + "/run", toPath: folder + "/run")
        let newest = folder + "/run/checkpoints/step-00000040"
        try damage(newest)
        let before = try contents(newest)
        let train = ["train", "--run", "run", "--threads", "1"] + Resume.forty
        for (more, status) in [(["--stop-after", "35"], 75 as Int32), ([], 0)] {
          let result =
            try ranks.map { try Program.mpirun(ranks: $0, train + more, in: folder) }
            ?? Program.run(train + more, in: folder)
          #expect(result.status == status, "\(result.errors)")
          let lines = result.errors.split(separator: "\n").filter { $0.contains("step-00000040") }
          try #require(lines.count == 1, "\(result.errors)")
          #expect(lines[0].contains("cannot be used and is left untouched") && lines[0].contains(words), "\(lines[0])")
          let source = status == 75 ? "step-00000030: 30" : "step-00000035: 35"
          #expect(result.errors.contains("resuming from run/checkpoints/\(source) of 40"), "\(result.errors)")
          if status == 75 { #expect(try contents(newest) == before) }
        }
        #expect(try RunFiles(folder + "/run").hash == Resume.undisturbed.get().hash)
        #expect(try RunFiles(folder + "/run").comparableLines == Resume.undisturbed.get().lines)
        // Its successor of the same step is good, and the run is finished.
        #expect(try Program.run(train, in: folder).errors.contains("run is finished: 40 of 40 steps are done"))
      }
    }

    private func change(_ path: String, _ body: (inout Data) throws -> Void) throws {
      var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
      try body(&bytes)
      try bytes.write(to: URL(fileURLWithPath: path))
    }

    @Test func trainerIsEmpty() throws {
      try survive(naming: "trainer.json") { try change($0 + "/trainer.json") { $0.removeAll() } }
    }

    @Test func headerIsCut() throws {
      try survive(naming: "model.safetensors") { try change($0 + "/model.safetensors") { $0 = $0.prefix(8) } }
    }

    @Test func itemsAreMissing() throws {
      try survive(naming: "items.tsv is not there") { try FileManager.default.removeItem(atPath: $0 + "/items.tsv") }
    }

    @Test func configurationIsFlippedForManyRanks() throws {
      try survive(ranks: 3, naming: "config.json") { try change($0 + "/config.json") { $0[100] ^= 1 } }
    }

    @Test func formatIsNewer() throws {
      try survive(naming: "trainer.json has format_version 7, this program reads up to 1") { checkpoint in
        try change(checkpoint + "/trainer.json") { bytes in
          let text = String(decoding: bytes, as: UTF8.self)
            .replacingOccurrences(of: "\"format_version\": 1,", with: "\"format_version\": 7,")
          // The checksum is of all text before its line.
          let body = text.split(separator: "\n").dropLast(2).joined(separator: "\n") + "\n"
          bytes = Data("\(body)  \"sha256\": \"\(sha256Hex(Array(body.utf8)))\"\n}\n".utf8)
        }
      }
    }

    @Test func itIsAnOlderOneRenamed() throws {
      try survive(naming: "step-00000040/trainer.json is of step 20") { newest in
        try FileManager.default.removeItem(atPath: newest)
        let older = newest.replacingOccurrences(of: "00000040", with: "00000020")
        try FileManager.default.copyItem(atPath: older, toPath: newest)
      }
    }

    /// A whole checkpoint of something else is no damage that the program could tell from another command line.
    @Test(arguments: [
      (["--set", "num_attention_heads=1"], "step-00000040 belongs to another configuration: num_attention_heads was 1"),
      (["--data", "data.txt"], "step-00000040 was trained on other data (data, "),
    ])
    func itBelongsToAnotherRun(arguments: [String], words: String) throws {
      try Program.withTemporaryFolder { folder in
        let text = (0..<120).map { "user\($0 % 12) item\($0 * $0 % 9)\n" }.joined()
        try text.write(toFile: folder + "/data.txt", atomically: true, encoding: .utf8)
        let small = settings([
          "max_seq_length": 32, "hidden_size": 32, "intermediate_size": 64, "batch_size": 16, "num_train_steps": 40,
          "save_checkpoints_steps": 40, "eval_every": 40,
        ])
        let other = try Program.run(["train", "--run", "other"] + small + arguments, in: folder)
        #expect(other.status == 0, "\(other.errors)")
        try FileManager.default.copyItem(atPath: Self.finished.get().folder + "/run", toPath: folder + "/run")
        let newest = folder + "/run/checkpoints/step-00000040"
        try FileManager.default.removeItem(atPath: newest)
        try FileManager.default.copyItem(atPath: folder + "/other/checkpoints/step-00000040", toPath: newest)
        let before = try contents(folder + "/run").filter { !$0.hasPrefix("lock ") }
        let refused = try Program.run(["train", "--run", "run", "--threads", "1"] + Resume.forty, in: folder)
        #expect(refused.status == 64 && refused.output.isEmpty)
        let errors = refused.errors.split(separator: "\n").filter { $0.hasPrefix("error: ") }
        #expect(errors.count == 1 && errors[0].contains(words), "\(refused.errors)")
        #expect(try contents(folder + "/run").filter { !$0.hasPrefix("lock ") } == before)

        try FileManager.default.removeItem(atPath: newest)
        let rest = try Program.run(["train", "--run", "run", "--threads", "1"] + Resume.forty, in: folder)
        #expect(rest.status == 0 && rest.errors.contains("step-00000030: 30 of 40"), "\(rest.errors)")
        #expect(try RunFiles(folder + "/run").hash == Resume.undisturbed.get().hash)
      }
    }
  }
}
