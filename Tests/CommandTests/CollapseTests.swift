import Foundation
import Testing

extension CommandTests {
  /// A run whose first updates throw the model back to the items' frequencies is named; one that learns is not.
  @Suite struct Collapse {
    private func train(_ values: [String: Any], ranks: Int? = nil) throws -> CommandResult {
      try Program.withTemporaryFolder { folder in
        let common: [String: Any] = ["num_train_steps": 3000, "eval_every": 3000, "save_checkpoints_steps": 3000]
        let arguments =
          ["train", "--threads", "1", "--stop-after", "1150"] + settings(common.merging(values) { $1 })
        let result = try ranks.map { try Program.mpirun(ranks: $0, arguments, in: folder) } ?? Program.run(arguments, in: folder)
        #expect(result.status == 75, "\(result.errors)")
        return result
      }
    }

    @Test(arguments: [(5e-3, 1, nil), (5e-3, 2, 2), (8e-3, 3, nil)])
    func oneThatCollapsesIsNamedOnce(rate: Double, seed: Int, ranks: Int?) throws {
      let result = try train(["learning_rate": rate, "num_warmup_steps": 20, "seed": seed], ranks: ranks)
      let words = "warning: at step 1020 the model knows nothing but how often items occur, which alone gives a loss of 4.78"
      #expect(result.count(ofErrors: words) == 1, "\(result.errors)")
      // As was to be feared from the start.
      #expect(result.count(ofErrors: "warning: early updates are larger than the learning rate") == 1, "\(result.errors)")
      let (feared, found) = (try #require(result.errors.range(of: "early updates")), try #require(result.errors.range(of: "step 1/3000")))
      #expect(feared.lowerBound < found.lowerBound)
    }

    @Test(arguments: [2, 3, 4]) func oneThatLearnsIsLeftAlone(seed: Int) throws {
      let result = try train(["seed": seed])
      #expect(!result.errors.contains("warning"), "\(result.errors)")
    }
  }
}
