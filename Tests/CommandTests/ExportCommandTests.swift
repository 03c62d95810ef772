import BERT4RecDist
import Foundation
import Testing

extension CommandTests {
  @Suite struct Export {
    private func data(_ path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path)) }

    /// A run folder's best checkpoint, in both forms at once, also under mpirun.
    @Test(arguments: [nil, 2]) func both(ranks: Int?) throws {
      let demo = try TrainedDemo.shared.get()
      try Program.withTemporaryFolder { folder in
        let arguments = ["export", "--checkpoint", demo.run.path, "--npy", "out/vectors", "--hugging-face", "out/model/"]
        let result = try ranks.map { try Program.mpirun(ranks: $0, arguments, in: folder) } ?? Program.run(arguments, in: folder)
        #expect(result.status == 0 && result.output.isEmpty, "\(result.errors)")
        #expect(result.count(ofErrors: "120 items, written to out/vectors and out/model/") == 1, "\(result.errors)")
        let best = try demo.run.text("checkpoints/best").trimmingCharacters(in: .newlines)
        let checkpoint = demo.run.path + "/checkpoints/" + best
        for name in ["config.json", "model.safetensors", "items.tsv"] {
          #expect(try data(folder + "/out/model/" + name) == data(checkpoint + "/" + name))
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder + "/out/model").count == 3)
        // The embeddings' bytes are those of the checkpoint's table.
        let model = try CheckpointModel(checkpoint, communicator: SoloCommunicator(), log: { Issue.record("\($0)") })
        let hidden = model.state.configuration.hiddenSize
        let rows = (0..<(120 * hidden)).map { model.state.parameters[model.state.layout.wordEmbeddings + hidden + $0] }
        let file = try data(folder + "/out/vectors/item_embeddings.npy")
        #expect(file.count == 128 + 4 * rows.count && file.suffix(4 * rows.count) == rows.withUnsafeBytes { Data($0) })
        #expect(String(decoding: file[10..<128], as: UTF8.self).contains("'shape': (120, \(hidden))"))
        #expect(try data(folder + "/out/vectors/items.tsv") == data(checkpoint + "/items.tsv"))
        // A run can begin from what was exported.
        let small = settings(["num_train_steps": 2])
        let trained = try Program.run(["train", "--init-checkpoint", "out/model", "--run", "run"] + small, in: folder)
        #expect(trained.status == 0, "\(trained.errors)")
      }
    }

    /// For the original; the same numbers come back, so the run that begins there with learning rate 0 has them all.
    @Test func forTensorFlow() throws {
      let demo = try TrainedDemo.shared.get()
      try Program.withTemporaryFolder { folder in
        let result = try Program.run(["export", "--checkpoint", demo.run.path, "--tensorflow", "out"], in: folder)
        #expect(result.status == 0 && result.count(ofErrors: "120 items, written to out") == 1, "\(result.errors)")
        let best = try demo.run.text("checkpoints/best").trimmingCharacters(in: .newlines)
        let step = try #require(Int(best.dropFirst(5)))
        let files = try FileManager.default.contentsOfDirectory(atPath: folder + "/out").sorted()
        #expect(
          files == [
            "bert_config.json", "checkpoint", "items.tsv", "model.ckpt-\(step).data-00000-of-00001", "model.ckpt-\(step).index",
          ])
        let state = try String(contentsOfFile: folder + "/out/checkpoint", encoding: .utf8)
        #expect(state.hasPrefix("model_checkpoint_path: \"model.ckpt-\(step)\"\n"))
        let train = ["train", "--keep-moments", "--run", "run"] + settings(["num_train_steps": 1, "learning_rate": 0])
        let trained = try Program.run(train + ["--init-checkpoint", "out/model.ckpt-\(step)"], in: folder)
        #expect(trained.status == 0, "\(trained.errors)")
        let words = "init: step \(step) of out/model.ckpt-\(step); 120 items kept, 0 new, 0 gone; moments kept"
        #expect(trained.count(ofErrors: words) == 1, "\(trained.errors)")
        #expect(
          try data(folder + "/run/checkpoints/step-00000001/model.safetensors")
            == data(demo.run.path + "/checkpoints/" + best + "/model.safetensors"))
        for name in ["bert_config.json", "items.tsv"] {
          try FileManager.default.moveItem(atPath: "\(folder)/out/\(name)", toPath: "\(folder)/\(name)")
          let result = try Program.run(["train", "--run", "other", "--init-checkpoint", "out/model.ckpt-\(step)"], in: folder)
          #expect(result.status == 66 && result.errors.contains("has no \(name) beside it"), "\(result.errors)")
          try FileManager.default.moveItem(atPath: "\(folder)/\(name)", toPath: "\(folder)/out/\(name)")
        }
        for end in [".index", ".data-00000-of-00001"] {
          let path = "\(folder)/out/model.ckpt-\(step)\(end)"
          let good = try data(path)
          for damage in Damage.allCases {
            try damage.apply(to: path)
            // With moments, so that all bytes of both files are read.
            let other = ["train", "--run", "other", "--keep-moments", "--init-checkpoint", "out/model.ckpt-\(step)"]
            let result = try Program.run(other, in: folder)
            #expect(result.status == 65 && result.errors.contains("out/model.ckpt-\(step)\(end)"), "\(result.errors)")
            #expect(!FileManager.default.fileExists(atPath: folder + "/other"))
            try good.write(to: URL(fileURLWithPath: path))
          }
        }
        let file = try Program.run(["train", "--run", "other", "--init-checkpoint", "out/model.ckpt-\(step).index"], in: folder)
        #expect(file.status == 64 && file.errors.contains("give what their names begin with, out/model.ckpt-\(step)"), "\(file.errors)")
      }
    }

    @Test func refusesAndLeavesNothing() throws {
      let demo = try TrainedDemo.shared.get()
      try Program.withTemporaryFolder { folder in
        try "mine".write(toFile: folder + "/taken", atomically: true, encoding: .utf8)
        let export = ["export", "--checkpoint", demo.run.path]
        for (more, status, words) in [
          ([], 64, "Give --npy, --hugging-face or --tensorflow"), (["--npy", "x", "--hugging-face", "x/"], 64, "a folder of its own"),
          (["--npy", "x", "--hugging-face", "taken"], 64, "taken exists, and is not replaced"), (["--npy", ""], 64, "name is empty"),
          (["--npy", "taken/x"], 74, "cannot write"),
        ] as [([String], Int32, String)] {
          let result = try Program.run(export + more, in: folder)
          #expect(result.status == status && result.errors.contains(words), "\(more): \(result.errors)")
        }
        try demo.copyCheckpoint(to: folder + "/damaged")
        try Damage.flippedByte.apply(to: folder + "/damaged/model.safetensors")
        let damaged = try Program.run(["export", "--checkpoint", "damaged", "--npy", "x"], in: folder)
        #expect(damaged.status == 65 && damaged.count(ofErrors: "error: ") == 1)
        #expect(try Program.run(["export", "--checkpoint", "absent", "--npy", "x"], in: folder).status == 66)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["damaged", "taken"])
        #expect(try String(contentsOfFile: folder + "/taken", encoding: .utf8) == "mine")
      }
    }
  }
}
