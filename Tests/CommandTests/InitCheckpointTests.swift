import BERT4RecDist
import Foundation
import Testing

extension CommandTests {
  /// A run that begins with another run's parameters, on other data.
  @Suite struct InitCheckpoint {
    private static let shape = settings(["max_seq_length": 16, "hidden_size": 8, "intermediate_size": 8])
    private static let pace = settings([
      "batch_size": 16, "num_train_steps": 12, "num_warmup_steps": 0, "save_checkpoints_steps": 4, "report_steps": 4,
      "keep_checkpoints": 10,
    ])
    private static let gone = ["ring0-item0", "ring4-item23"]

    /// A folder with a trained run `old` on old.txt, and new.txt: other users' rows, two items gone, three new.
    private static let prepared = Result { try Prepared() }

    private struct Prepared {
      let folder = FileManager.default.temporaryDirectory.appendingPathComponent("bert4rec-init-\(UUID().uuidString)").path

      init() throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        atexit {
          if case .success(let prepared) = InitCheckpoint.prepared { try? FileManager.default.removeItem(atPath: prepared.folder) }
        }
        try TrainedDemo.writeData(to: folder + "/old.txt")
        let rows = try String(contentsOfFile: folder + "/old.txt", encoding: .utf8).split(separator: "\n")
        // Half of the users, so that the items have another order by count.
        var new = rows.filter { row in
          (row.split(separator: " ")[0].last?.wholeNumberValue ?? 0) % 2 == 0 && !InitCheckpoint.gone.contains { row.hasSuffix(" " + $0) }
        }
        for user in 0..<9 { new += ["user\(user * 2) new-a", "user\(user * 2) new-\(user % 2 == 0 ? "b" : "c")"] }
        try (new.joined(separator: "\n") + "\n").write(toFile: folder + "/new.txt", atomically: true, encoding: .utf8)
        let old = try Program.run(
          ["train", "--run", "old", "--data", "old.txt", "--threads", "1"] + InitCheckpoint.shape + InitCheckpoint.pace, in: folder)
        try #require(old.status == 0, "\(old.errors)")
      }
    }

    /// The checkpoint that stands for the old run, by its path in the folder.
    private func oldBest(_ folder: String) throws -> String {
      try "old/checkpoints/" + RunFiles(folder + "/old").text("checkpoints/best").trimmingCharacters(in: .newlines)
    }

    private func withPrepared(_ body: (String) throws -> Void) throws {
      let source = try Self.prepared.get().folder
      try Program.withTemporaryFolder { folder in
        for name in ["old", "old.txt", "new.txt"] {
          try FileManager.default.copyItem(atPath: source + "/" + name, toPath: folder + "/" + name)
        }
        try body(folder)
      }
    }

    private func arguments(
      _ more: [String], run: String = "new", data: String = "new.txt", shape: [String] = Self.shape
    ) -> [String] { ["train", "--run", run, "--data", data] + shape + Self.pace + more }

    private func train(
      _ folder: String, _ more: [String], run: String = "new", data: String = "new.txt", shape: [String] = Self.shape
    ) throws -> CommandResult {
      try Program.run(arguments(["--threads", "1"] + more, run: run, data: data, shape: shape), in: folder)
    }

    private func names(_ ids: ExternalIDs) -> [String] { (0..<ids.count).map { String(decoding: ids[$0], as: UTF8.self) } }

    // MARK: Values

    /// The checkpoint of step 0 has the known rows bit by bit, and the others as a run without the option has them.
    @Test(arguments: [false, true]) func stepZero(keepsMoments: Bool) throws {
      try withPrepared { folder in
        let source = try oldBest(folder)
        let option = keepsMoments ? ["--keep-moments"] : []
        let result = try train(folder, ["--init-checkpoint", "old", "--stop-after", "1"] + option)
        #expect(result.status == 75, "\(result.errors)")
        let step = try #require(Int(source.suffix(8)))
        let line = "init: step \(step) of \(source); 118 items kept, 3 new, 2 gone" + (keepsMoments ? "; moments kept" : "")
        #expect(result.errors.split(separator: "\n").filter { $0.hasPrefix("init: ") } == [Substring(line)], "\(result.errors)")
        #expect(try RunFiles(folder + "/new").checkpoints == ["step-00000000", "step-00000001"])
        let text = try RunFiles(folder + "/new").text("config.yaml")
        #expect(text.contains("\ninit_checkpoint: \"old\"\ninit_moments: \(keepsMoments ? "kept" : "zero")\n"), "\(text)")

        let (old, new) = (folder + "/" + source, folder + "/new/checkpoints/step-00000000")
        let (before, after) = (try CheckpointReader.open(old), try CheckpointReader.open(new))
        let (oldNames, newNames) = (names(before.itemIDs), names(after.itemIDs))
        #expect(Array(oldNames.prefix(9)) != Array(newNames.prefix(9)), "the items kept their order: nothing is tested")
        #expect(Set(oldNames).subtracting(newNames) == Set(Self.gone))
        let fresh = try ModelState(after.configuration)
        fresh.initialize(seed: 12345)
        for (file, prefix) in [
          ("model.safetensors", ""), ("optimizer.safetensors", "first_moment."), ("optimizer.safetensors", "second_moment."),
        ] {
          let (oldFile, newFile) = (try SafeTensors(old + "/" + file), try SafeTensors(new + "/" + file))
          for slot in after.layout.slots {
            let (oldValues, newValues) = (try oldFile.floats(prefix + slot.name), try newFile.floats(prefix + slot.name))
            var expected = prefix.isEmpty ? Array(fresh.parameters[slot.range]) : [Float](repeating: 0, count: slot.count)
            if prefix.isEmpty || keepsMoments {
              if slot.shape[0] == after.configuration.vocabularySize {
                let width = slot.count / slot.shape[0]
                func copy(_ row: Int, from old: Int) {
                  expected.replaceSubrange((row * width)..<((row + 1) * width), with: oldValues[(old * width)..<((old + 1) * width)])
                }
                copy(0, from: 0)
                for (index, name) in newNames.enumerated() {
                  if let place = oldNames.firstIndex(of: name) { copy(index + 1, from: place + 1) }
                }
                for special in 1...3 { copy(newNames.count + special, from: oldNames.count + special) }
              } else {
                expected = oldValues
              }
            }
            #expect(newValues == expected, "\(prefix)\(slot.name)")
          }
        }
      }
    }

    @Test(arguments: [(9, "; positions 0 to 8 kept, 0 new"), (23, "; positions 0 to 15 kept, 7 new")])
    func anotherLength(_ length: Int, _ words: String) throws {
      try withPrepared { folder in
        let shape = Self.shape + settings(["max_seq_length": length])
        let result = try train(folder, ["--init-checkpoint", "old", "--stop-after", "1"], shape: shape)
        #expect(result.status == 75 && result.count(ofErrors: "2 gone" + words + "\n") == 1, "\(result.errors)")
        let name = "bert.embeddings.position_embeddings.weight"
        let old = try SafeTensors(folder + "/" + oldBest(folder) + "/model.safetensors").floats(name)
        let reader = try CheckpointReader.open(folder + "/new/checkpoints/step-00000000")
        let new = try SafeTensors(reader.path + "/model.safetensors").floats(name)
        let fresh = try ModelState(reader.configuration)
        fresh.initialize(seed: 12345)
        let slot = try #require(reader.layout.slots.first { $0.name == name })
        let kept = min(length, 16) * 8
        #expect(new.count == length * 8 && Array(new[..<kept]) == Array(old[..<kept]))
        #expect(Array(new[kept...]) == Array(fresh.parameters[slot.range])[kept...].map { $0 })
      }
    }

    /// A checkpoint without what makes it one is a Hugging Face folder.
    @Test func aHuggingFaceFolder() throws {
      try withPrepared { folder in
        let hf = folder + "/hf"
        try FileManager.default.copyItem(atPath: folder + "/" + oldBest(folder), toPath: hf)
        for name in ["trainer.json", "optimizer.safetensors"] { try FileManager.default.removeItem(atPath: hf + "/" + name) }
        let result = try train(folder, ["--init-checkpoint", "hf", "--stop-after", "1"])
        #expect(result.status == 75 && result.count(ofErrors: "init: hf; 118 items kept, 3 new, 2 gone\n") == 1, "\(result.errors)")
        #expect(try train(folder, ["--init-checkpoint", "old", "--stop-after", "1"], run: "same").status == 75)
        let hashes = try ["new", "same"].map { try CheckpointReader.open(folder + "/\($0)/checkpoints/step-00000000").state.parameterHash }
        #expect(hashes[0] == hashes[1])

        let moments = try train(folder, ["--init-checkpoint", "hf", "--keep-moments"], run: "moments")
        #expect(moments.status == 64 && moments.count(ofErrors: "error: hf has no optimizer.safetensors") == 1, "\(moments.errors)")
        try FileManager.default.removeItem(atPath: hf + "/items.tsv")
        let items = try train(folder, ["--init-checkpoint", "hf"], run: "items")
        #expect(items.status == 66 && items.count(ofErrors: "error: hf has no items.tsv: ") == 1, "\(items.errors)")
        for run in ["moments", "items"] { #expect(!FileManager.default.fileExists(atPath: folder + "/" + run)) }
      }
    }

    // MARK: The run

    @Test func anyNumberOfRanksGivesTheSameBits() throws {
      try withPrepared { folder in
        var hashes: [String] = []
        for (ranks, threads) in [(1, 1), (1, 3), (2, 1), (8, 1)] {
          let run = "run-\(ranks)-\(threads)"
          let more = ["--init-checkpoint", "old", "--keep-moments", "--stop-after", "1", "--threads", "\(threads)"]
          let result = try Program.mpirun(ranks: ranks, arguments(more, run: run), in: folder)
          #expect(result.status == 75 && result.count(ofErrors: "init: step ") == 1, "\(result.errors)")
          hashes.append(try RunFiles(folder + "/" + run).hash)
        }
        #expect(Set(hashes).count == 1, "\(hashes)")
        #expect(try train(folder, ["--stop-after", "1"], run: "fresh").status == 75)
        #expect(try RunFiles(folder + "/fresh").hash != hashes[0])
      }
    }

    /// From its first checkpoint on, which is that of step 0, the run does not need the other model.
    @Test func itIsResumedWithoutTheModel() throws {
      try withPrepared { folder in
        let (option, best) = (["--init-checkpoint", "old"], try oldBest(folder))
        #expect(try train(folder, option, run: "whole").status == 0)
        #expect(try train(folder, option + ["--stop-after", "6"]).status == 75)
        // As a run that was ended before its first step.
        for name in ["step-00000004", "step-00000006", "latest", "best"] {
          try? FileManager.default.removeItem(atPath: folder + "/new/checkpoints/" + name)
        }
        try FileManager.default.moveItem(atPath: folder + "/old", toPath: folder + "/moved")
        let stopped = try Program.run(["train", "--run", "new", "--stop-after", "2"], in: folder)
        #expect(stopped.status == 75, "\(stopped.errors)")
        #expect(stopped.errors.contains("resuming from new/checkpoints/step-00000000: 0 of 12 steps are done"))
        let words = "old (init_checkpoint) is not read: the run has a checkpoint of its own, new/checkpoints/step-00000002\n"
        let rest = try Program.mpirun(ranks: 2, arguments(option + ["--threads", "1"]), in: folder)
        #expect(rest.status == 0 && rest.count(ofErrors: words) == 1 && rest.count(ofErrors: "init: ") == 0, "\(rest.errors)")
        #expect(try RunFiles(folder + "/new").hash == RunFiles(folder + "/whole").hash)
        #expect(try RunFiles(folder + "/new").comparableLines == RunFiles(folder + "/whole").comparableLines)
        // Which of the run folder's checkpoints it was.
        for checkpoint in ["whole/checkpoints/step-00000000", "new/checkpoints/step-00000012"] {
          let text = try String(contentsOfFile: folder + "/\(checkpoint)/trainer.json", encoding: .utf8)
          #expect(text.contains("\"initial_model\": \"\(best)\""), "\(text)")
        }

        let other = try train(folder, ["--init-checkpoint", "moved"])
        #expect(other.status == 64 && other.count(ofErrors: "init_checkpoint was old and is moved") == 1, "\(other.errors)")
        let moments = try train(folder, option + ["--keep-moments"])
        #expect(moments.status == 64 && moments.count(ofErrors: "init_moments was zero and is kept") == 1, "\(moments.errors)")
        #expect(try train(folder, ["--stop-after", "1"], run: "plain").status == 75)
        let plain = try train(folder, ["--init-checkpoint", "moved"], run: "plain")
        #expect(plain.status == 64 && plain.count(ofErrors: "init_checkpoint was none and is moved") == 1, "\(plain.errors)")
      }
    }

    // MARK: Refusals

    /// With the words of `evaluate`, before anything is written, once.
    @Test(arguments: [nil, 2]) func aDamagedModelIsRefused(ranks: Int?) throws {
      try withPrepared { folder in
        try FileManager.default.copyItem(atPath: folder + "/" + oldBest(folder), toPath: folder + "/c")
        try Damage.flippedByte.apply(to: folder + "/c/model.safetensors")
        for (path, status) in [("c", 65 as Int32), ("absent", 66), ("new.txt", 66)] {
          let evaluate = try Program.run(["evaluate", "--checkpoint", path, "--data", "new.txt"], in: folder)
          let message = try #require(evaluate.errors.split(separator: "\n").first { $0.hasPrefix("error: ") })
          let more = arguments(["--init-checkpoint", path, "--threads", "1"])
          let result = try ranks.map { try Program.mpirun(ranks: $0, more, in: folder) } ?? Program.run(more, in: folder)
          #expect(evaluate.status == status && result.status == status, "\(result.errors)")
          #expect(result.count(ofErrors: "error: ") == 1 && result.errors.contains(message), "\(result.errors)")
          #expect(!FileManager.default.fileExists(atPath: folder + "/new"))
        }
      }
    }

    @Test func whatDoesNotFitIsRefused() throws {
      try withPrepared { folder in
        func refused(_ more: [String], shape: [String] = Self.shape, data: String = "new.txt", status: Int32 = 64, _ words: String) throws {
          let result = try train(folder, more, data: data, shape: shape)
          #expect(result.status == status && result.count(ofErrors: words) == 1, "\(result.errors)")
          #expect(result.count(ofErrors: "error: ") == 1, "\(result.errors)")
          #expect(!FileManager.default.fileExists(atPath: folder + "/new"))
        }
        let option = ["--init-checkpoint", "old"]
        let wide = Self.shape + settings(["hidden_size": 12, "num_hidden_layers": 3, "hidden_act": "relu"])
        try refused(
          option, shape: wide,
          " has another shape than this run: hidden_size is 8 there and 12 here; num_hidden_layers is 2 there and 3 here; hidden_act is "
            + "gelu there and relu here. Give its values (--set hidden_size=8 --set num_hidden_layers=2 --set hidden_act=gelu)")
        let others = Self.shape + settings(["num_attention_heads": 4, "intermediate_size": 9])
        try refused(option, shape: others, "num_attention_heads is 2 there and 4 here; intermediate_size is 8 there and 9 here")
        try refused(["--keep-moments"], "--keep-moments (init_moments kept) needs --init-checkpoint")
        try refused(["--init-checkpoint", ""], "init_checkpoint is \"\", but must be a folder, or none")
        let text = try String(contentsOfFile: folder + "/new.txt", encoding: .utf8)
        try text.replacing(" ", with: " other-").write(toFile: folder + "/others.txt", atomically: true, encoding: .utf8)
        try refused(option, data: "others.txt", status: 65, "none of the 121 items of others is known to ")
      }
    }
  }
}
