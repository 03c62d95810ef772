import BERT4RecDist
import Foundation
import Testing

extension CommandTests {
  /// Losses that are not finite, now and then or for good. The position that only the longest histories reach is made
  /// NaN in a checkpoint, so that the batches with such a history go wrong and the others do not.
  @Suite struct NonFinite {
    static let arguments =
      ["train", "--run", "run", "--threads", "1"]
      + settings([
        "max_seq_length": 21, "batch_size": 4, "gradient_shards": 4, "validation": true, "eval_every": 10_000,
        "num_train_steps": 200, "report_steps": 1, "keep_checkpoints": 100,
      ])

    /// A run of 20 steps whose checkpoint is spoilt.
    private func withSpoiltRun(_ body: (_ folder: String, _ run: RunFiles) throws -> Void) throws {
      try Program.withTemporaryFolder { folder in
        let first = try Program.run(Self.arguments + ["--stop-after", "20"], in: folder)
        try #require(first.status == 75, "\(first.errors)")
        let checkpoint = try CheckpointReader.open(folder + "/run/checkpoints/step-00000020", withMoments: true)
        let buffers = (0..<3).map { _ in UnsafeMutableBufferPointer<Float>.allocate(capacity: checkpoint.layout.count) }
        defer { for buffer in buffers { buffer.deallocate() } }
        checkpoint.copyParameters(into: buffers[0])
        checkpoint.copyMoments(first: buffers[1], second: buffers[2])
        let positions = try #require(checkpoint.layout.slots.first { $0.name.contains("position_embeddings") })
        let width = try #require(positions.shape.last)
        for index in (positions.range.upperBound - width)..<positions.range.upperBound { buffers[0][index] = .nan }
        try CheckpointWriter(
          run: RunFolder(folder + "/run"), configuration: checkpoint.configuration, itemIDs: checkpoint.itemIDs,
          itemCounts: checkpoint.itemCounts, keepCheckpoints: 100
        ).write(
          state: checkpoint.state, parameters: UnsafeBufferPointer(buffers[0]),
          firstMoment: UnsafeBufferPointer(buffers[1]), secondMoment: UnsafeBufferPointer(buffers[2]))
        try body(folder, RunFiles(folder + "/run"))
      }
    }

    private let skipping = settings(["on_nonfinite": "skip", "max_skipped_steps": 1000])

    @Test func theRunStopsAtTheStep() throws {
      try withSpoiltRun { folder, run in
        let before = try run.checkpoints
        for ranks in [nil, 2] {
          let result =
            try ranks.map { try Program.mpirun(ranks: $0, Self.arguments, in: folder) }
            ?? Program.run(Self.arguments, in: folder)
          #expect(result.status == 70)
          #expect(result.count(ofErrors: "error: step ") == 1, "\(result.errors)")
          #expect(result.errors.contains("the loss is nan"))
          #expect(result.errors.contains("not finite in those of user user"))
          #expect(result.errors.contains("the last good checkpoint is that of step 20"))
          #expect(try run.checkpoints == before)
        }
      }
    }

    @Test func stepsAreSkippedTheSameEverywhere() throws {
      var hashes: Set<String> = []
      for ranks in [nil, 2, 3] {
        try withSpoiltRun { folder, run in
          let arguments = Self.arguments + skipping + ["--stop-after", "120"]
          let result =
            try ranks.map { try Program.mpirun(ranks: $0, arguments, in: folder) }
            ?? Program.run(arguments, in: folder)
          #expect(result.status == 75, "\(result.errors)")
          let skipped = result.count(ofErrors: "warning: step ")
          #expect(skipped > 5 && skipped < 60)
          #expect(result.errors.contains("Skipped, \(skipped) of at most 1000 (max_skipped_steps)"))
          let losses = try run.lines.filter { $0["loss"] != nil }
          #expect(losses.count == 120 && losses.count(where: { $0["loss"] is NSNull }) == skipped)
          hashes.insert(try run.hash)

          // The count continues after a resume: as many as were skipped are allowed, so the next one stops the run.
          let limited = Self.arguments + settings(["on_nonfinite": "skip", "max_skipped_steps": skipped])
          let next = try Program.run(limited, in: folder)
          #expect(next.status == 70 && next.count(ofErrors: "warning: step ") == 0)
          #expect(next.errors.contains("\(skipped) steps were skipped before (max_skipped_steps)"), "\(next.errors)")
        }
      }
      #expect(hashes.count == 1)
    }

    @Test func aLearningRateThatIsTooHighIsSaidOnce() throws {
      try Program.withTemporaryFolder { folder in
        let result = try Program.run(
          ["train"] + settings(["learning_rate": 1, "num_train_steps": 300, "hidden_dropout_prob": 0]), in: folder)
        #expect(result.count(ofErrors: "warning: the loss has risen from") == 1, "\(result.errors)")
        #expect(result.count(ofErrors: "warning: early updates are larger than the learning rate") == 1)
      }
    }
  }
}
