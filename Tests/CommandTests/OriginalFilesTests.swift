import BERT4RecDist
import Foundation
import Testing

extension CommandTests {
  /// The original's own files: instances in TFRecords, its JSON configuration.
  @Suite struct OriginalFiles {
    /// Of the instances, and of the model and its pace: some 1,000 instances per epoch, of which 12 steps see a part.
    private static let instances = settings([
      "max_seq_length": 12, "masked_lm_prob": 0.3, "dupe_factor": 2, "mask_prob": 0.7, "holdout": "test", "seed": 5,
    ])
    private static let model = settings([
      "hidden_size": 8, "intermediate_size": 8, "batch_size": 16, "num_train_steps": 12, "save_checkpoints_steps": 12, "masking": "static",
    ])

    /// `data.txt`, and what `prepare` makes of it in `records`.
    private func withRecords(_ body: (String) throws -> Void) throws {
      try Program.withTemporaryFolder { folder in
        try TrainedDemo.writeData(to: folder + "/data.txt")
        let prepared = try Program.run(["prepare", "data.txt", "--write-tfrecord", "records"] + Self.instances, in: folder)
        let words = " test instances written to records (holdout test, max_seq_length 12, "
        #expect(prepared.status == 0 && prepared.errors.contains(words), "\(prepared.errors)")
        try body(folder)
      }
    }

    private func train(_ folder: String, run: String, _ more: [String], ranks: Int? = nil) throws -> CommandResult {
      let arguments = ["train", "--data", "data.txt", "--run", run, "--threads", "1"] + Self.instances + Self.model + more
      return try ranks.map { try Program.mpirun(ranks: $0, arguments, in: folder) } ?? Program.run(arguments, in: folder)
    }

    private func model(_ folder: String, _ run: String) throws -> Data {
      try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(run)/checkpoints/step-00000012/model.safetensors"))
    }

    /// The files hold the instances of the first epoch, so a run on them has the bits of one that makes them itself.
    @Test func trainsOnThemAsOnItsOwn() throws {
      try withRecords { folder in
        let files = try FileManager.default.contentsOfDirectory(atPath: folder + "/records").sorted()
        #expect(files == ["data.his", "data.test.tfrecord", "data.train.tfrecord", "data.vocab", "items.tsv", "users.tsv"])
        let own = try train(folder, run: "own", [])
        #expect(own.status == 0, "\(own.errors)")
        let recorded = try train(folder, run: "recorded", ["--tfrecord", "records/*.train.tfrecord"])
        #expect(recorded.status == 0, "\(recorded.errors)")
        #expect(recorded.count(ofErrors: "with their own windows, masks and order; not used: masked_lm_prob") == 1, "\(recorded.errors)")
        #expect(try model(folder, "recorded") == model(folder, "own"))
        let ranks = try train(folder, run: "ranks", ["--tfrecord", "records/*.train.tfrecord"], ranks: 2)
        #expect(ranks.status == 0, "\(ranks.errors)")
        #expect(try model(folder, "ranks") == model(folder, "own"))
        // Later epochs take all of them again, and a run that is resumed goes on with them.
        let more = try Program.run(["train", "--run", "recorded", "--set", "num_train_epochs=1.5"], in: folder)
        #expect(more.status == 0 && more.errors.contains("resuming from"), "\(more.errors)")
      }
    }

    @Test func whatDoesNotFitIsRefused() throws {
      try withRecords { folder in
        let path = "records/data.train.tfrecord"
        func refused(_ status: Int32, _ words: String, _ more: [String] = [], data: String = "data.txt") throws {
          let result = try Program.run(
            ["train", "--data", data, "--run", "refused", "--tfrecord", path] + Self.instances + Self.model + more, in: folder)
          #expect(result.status == status && result.errors.contains(words), "\(words): \(result.errors)")
          #expect(result.count(ofErrors: "error: ") == 1)
          #expect(!FileManager.default.fileExists(atPath: folder + "/refused"))
        }
        try refused(
          65, "with holdout test+validation: the files are of other data, or have a held-out item", ["--set", "holdout=test+validation"])
        try refused(64, "tokens, but max_seq_length is 8: give that of the files (--set max_seq_length=12)", ["--set", "max_seq_length=8"])
        try refused(66, "no file matches it", ["--tfrecord", "records/*.absent"])
        let rows = try String(contentsOfFile: folder + "/data.txt", encoding: .utf8)
        try rows.replacing("ring0-item0\n", with: "other\n").write(toFile: folder + "/other.txt", atomically: true, encoding: .utf8)
        try refused(65, "item \"ring0-item0\" is not in other", data: "other.txt")

        var bytes = try Data(contentsOf: URL(fileURLWithPath: folder + "/" + path))
        let second = 16 + Int(bytes[0]) + 256 * Int(bytes[1])
        bytes[second + 40] ^= 1
        try bytes.write(to: URL(fileURLWithPath: folder + "/" + path))
        try refused(65, "\(path): record 2 at byte \(second) is damaged: its data have not their checksum")
        try FileManager.default.removeItem(atPath: folder + "/records/items.tsv")
        try refused(66, "has no items.tsv in its folder")
      }
    }

    /// Users whose ids are whole numbers keep them, as in the original's files, which have no users.tsv.
    @Test func numberedUsers() throws {
      try Program.withTemporaryFolder { folder in
        var text = ""
        for user in 1...40 { for place in 0..<6 { text += "\(user * 3) \((user * 7 + place * 5) % 30 + 1)\n" } }
        try text.write(toFile: folder + "/data.txt", atomically: true, encoding: .utf8)
        let prepared = try Program.run(["prepare", "data.txt", "--write-tfrecord", "out"] + Self.instances, in: folder)
        #expect(prepared.status == 0, "\(prepared.errors)")
        #expect(!FileManager.default.fileExists(atPath: folder + "/out/users.tsv"))
        let own = try train(folder, run: "own", [])
        let recorded = try train(folder, run: "recorded", ["--tfrecord", "out/data.train.tfrecord"])
        #expect(own.status == 0 && recorded.status == 0, "\(recorded.errors)")
        // 12 batches of 16 instances cross the end of the first epoch's 120: the model is another from there on.
        #expect(try model(folder, "recorded") != model(folder, "own"))
      }
    }

    @Test func prepareRefuses() throws {
      try Program.withTemporaryFolder { folder in
        try TrainedDemo.writeData(to: folder + "/data.txt")
        try FileManager.default.createDirectory(atPath: folder + "/taken", withIntermediateDirectories: false)
        for (more, words) in [
          (["--set", "seed=3"], "--recipe, --config and --set are for --write-tfrecord"),
          (["--write-tfrecord", "taken"], "taken exists, and is not replaced"),
          (["--write-tfrecord", "x", "--set", "sed=3"], "--set: unknown key \"sed\""),
          (["--write-tfrecord", "x", "--split-time", "2014-07-23"], "leave out --split-time"),
        ] {
          let result = try Program.run(["prepare", "data.txt"] + more, in: folder)
          #expect(result.status == 64 && result.errors.contains(words), "\(more): \(result.errors)")
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["data.txt", "taken"])
      }
    }

    @Test func itsConfiguration() throws {
      try Program.withTemporaryFolder { folder in
        func config(_ vocabulary: Int) throws {
          try """
          {
            "attention_probs_dropout_prob": 0.2, "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "hidden_size": 24,
            "initializer_range": 0.02, "intermediate_size": 40, "max_position_embeddings": 18, "num_attention_heads": 3,
            "num_hidden_layers": 1, "type_vocab_size": 2, "vocab_size": \(vocabulary)
          }
          """.write(toFile: folder + "/bert_config.json", atomically: true, encoding: .utf8)
        }
        try TrainedDemo.writeData(to: folder + "/data.txt")
        let arguments = ["train", "--data", "data.txt", "--run", "run", "--config", "bert_config.json", "--set", "num_train_steps=2"]
        try config(125)
        let other = try Program.run(arguments, in: folder)
        let words = "vocab_size is 125, but data has 120 items, which makes 124"
        #expect(other.status == 64 && other.errors.contains(words), "\(other.errors)")
        try config(124)
        let result = try Program.run(arguments, in: folder)
        #expect(result.status == 0 && result.errors.contains("(hidden 24, 1 layers, 3 heads, vocabulary 124)"), "\(result.errors)")
        #expect(try RunFiles(folder + "/run").text("config.yaml").contains("max_seq_length: 18\n"))
      }
    }
  }
}
