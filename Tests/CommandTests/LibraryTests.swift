import BERT4RecDist
import Foundation
import Testing

extension CommandTests {
  /// The library as another program uses it. Here because it trains: one thing at a time.
  @Suite struct Library {
    final class MedianRank: EvaluationHook {
      private(set) var evaluations: [EvaluationSplit] = []
      private var ranks: [Double] = []
      func begin(_ context: EvaluationContext) {
        evaluations.append(context.split)
        ranks = []
      }
      func afterRun(_ block: EvaluationBlock, _ results: [UserResult]) {
        ranks += results.compactMap { $0.rank(.full) }
      }
      var metrics: [(key: String, value: Double)] {
        ranks.isEmpty ? [] : [("median_rank[full]", ranks.sorted()[ranks.count / 2])]
      }
    }

    final class Refusing: EvaluationHook {
      func end(_ context: EvaluationContext) throws(ProgramFailure) { throw ProgramFailure(.badData, "not with me") }
    }

    /// Saves after step 2, stops after step 5.
    final class SavesAndStops: TrainingHook {
      private(set) var steps: [Int] = []
      private(set) var losses: [Double] = []
      func afterStep(_ result: StepResult, step: Int) -> TrainingAnswer {
        steps.append(step)
        losses.append(result.loss)
        return step == 2 ? .save : step == 5 ? .stop : .proceed
      }
    }

    private func options(_ folder: String) -> TrainingOptions {
      var options = TrainingOptions()
      options.runFolder = folder + "/run"
      options.threads = 1
      options.settings = ["num_train_steps=6", "eval_every=3", "batch_size=16"]
      return options
    }

    @Test func aHookOfOnesOwn() throws {
      try Program.withTemporaryFolder { folder in
        let hook = MedianRank()
        var (messages, results): ([String], [String]) = ([], [])
        let run = TrainingRun(
          options(folder), communicator: SoloCommunicator(), hooks: [hook], log: { messages.append($0) },
          output: { results.append($0) })
        #expect(try run.run() == .finished)
        #expect(hook.evaluations == [.validation, .validation, .test])
        #expect(messages.contains { $0.hasPrefix("step 6/6") } && results.contains { $0.hasPrefix("test split") })
        let evaluations = try RunFiles(folder + "/run").lines.filter { $0["split"] != nil }
        let medians = evaluations.compactMap { $0["median_rank[full]"] as? Double }
        #expect(medians.count == 3 && medians.allSatisfy { (1...120).contains($0) })
        #expect(hook.metrics.first?.value == medians.last)

        // The program resumes where the library stopped, and the other way round.
        let program = try Program.run(
          ["train", "--run", "run"] + settings(["num_train_steps": 9, "eval_every": 3, "batch_size": 16]), in: folder)
        #expect(program.status == 0 && program.errors.contains("resuming from run/checkpoints/step-00000006"))
      }
    }

    /// A configuration made in Swift: every value counts, also where the run is resumed.
    @Test func aConfigurationOfOnesOwn() throws {
      try Program.withTemporaryFolder { folder in
        var settings = RunSettings.demonstration
        (settings.batchSize, settings.trainingSteps, settings.threads) = (16, 6, 1)
        func run(_ settings: RunSettings, stopAfter: Int? = nil) throws(CollectiveFailure) -> RunOutcome {
          let configuration = try alike { () throws(ProgramFailure) in try RunConfiguration(settings) }
          return try TrainingRun(
            configuration, runFolder: folder + "/run", stopAfter: stopAfter, communicator: SoloCommunicator(), log: { _ in },
            output: { _ in }
          ).run()
        }
        #expect(try run(settings, stopAfter: 2) == .stopped)
        var other = settings
        other.batchSize = 32
        do throws(CollectiveFailure) {
          _ = try run(other)
          Issue.record("nothing was thrown")
        } catch {
          #expect(error.exitCode == .usage && error.message.contains("batch_size was 16 and is 32"), "\(error.message)")
        }
        #expect(try run(settings) == .finished)
        let checkpoints = try RunFiles(folder + "/run").checkpoints
        #expect(checkpoints.last == "step-00000006")
      }
    }

    @Test func aTrainingHookSavesAndStops() throws {
      try Program.withTemporaryFolder { folder in
        let hook = SavesAndStops()
        func run() throws(CollectiveFailure) -> TrainingRun.Outcome {
          try TrainingRun(
            options(folder), communicator: SoloCommunicator(), trainingHooks: [hook], log: { _ in }, output: { _ in }
          ).run()
        }
        #expect(try run() == .stopped)
        #expect(hook.steps == [1, 2, 3, 4, 5] && hook.losses.allSatisfy { $0 > 0 && $0 < 10 })
        let checkpoints = try RunFiles(folder + "/run").checkpoints
        #expect(checkpoints.contains("step-00000002") && checkpoints.last == "step-00000005")
        #expect(try run() == .finished)
        #expect(hook.steps == [1, 2, 3, 4, 5, 6])
      }
    }

    @Test func whatAHookThrowsEndsTheRun() throws {
      try Program.withTemporaryFolder { folder in
        let run = TrainingRun(
          options(folder), communicator: SoloCommunicator(), hooks: [Refusing()], log: { _ in }, output: { _ in })
        do throws(CollectiveFailure) {
          try run.run()
          Issue.record("nothing was thrown")
        } catch {
          #expect(error == .onEveryRank(.badData, "not with me"))
        }
      }
    }
  }

  /// Tests/Reference/check_hugging_face.py, where PyTorch is installed for `python3`.
  @Suite struct HuggingFace {
    static let hasPython = (try? Program.execute("/usr/bin/env", ["python3", "--version"]))?.status == 0

    @Test(.enabled(if: hasPython, "there is no python3")) func transformersScoresAlike() throws {
      let demo = try TrainedDemo.shared.get()
      try Program.withTemporaryFolder { folder in
        try demo.copyCheckpoint(to: folder + "/checkpoint")
        // Histories of 1 item, of all that fit, and of more than fit.
        var lines: [String] = []
        for (user, length) in [1, 2, 7, 30, 31, 32, 33, 75].enumerated() {
          for place in 0..<length {
            lines.append("user\(user) ring\((user + place / 11) % 5)-item\((place * 7 + user) % 24)\n")
          }
        }
        try lines.joined().write(toFile: folder + "/histories.txt", atomically: true, encoding: .utf8)
        let script = Program.root + "/Tests/Reference/check_hugging_face.py"
        let result = try Program.execute(
          "/usr/bin/env", ["python3", script, "checkpoint", "histories.txt", Program.path], in: folder)
        #expect(result.status == 0, "\(result.output)\(result.errors)")
        if result.output.hasPrefix("skipped") {
          print("check_hugging_face.py \(result.output)", terminator: "")
        } else {
          #expect(result.output.hasPrefix("8 users, 120 items: largest difference "), "\(result.output)")
        }
      }
    }
  }
}
