import Testing
import Training

@Suite struct TrainingStatusTests {
  private let start = ContinuousClock.now

  private func status(step: Int = 100, limit: Double = .infinity) throws -> TrainingStatus {
    var settings = RunSettings.demonstration
    (settings.trainingSteps, settings.batchSize) = (1100, 50)
    return TrainingStatus(try RunConfiguration(settings), step: step, secondsLeft: limit, began: start)
  }

  private func result(_ loss: Double) -> StepResult {
    StepResult(loss: loss, gradientNorm: 1, learningRate: 0.1, tokenCount: 7, maskedCount: 2, epoch: 3, workSeconds: 0.1)
  }

  @Test func aLineSaysAllThatOneLooksFor() throws {
    let status = try status()
    #expect(status.text(now: start) == "step 101/1100 is under way")
    status.update(result(1.23456), step: 101, seconds: 0.1)
    #expect(status.text(now: start + .seconds(0.1)) == "step 101/1100  epoch 3  loss 1.2346  500 instances/s  1 min 40 s left")
    status.validated(0.25)
    status.update(result(1), step: 200, seconds: 0.1)
    #expect(status.text(now: start + .seconds(20)) == "step 200/1100  epoch 3  loss 1.0  500 instances/s  3 min left  ndcg@10[full] 0.25")
    status.update(result(1), step: 1100, seconds: 0.1)
    #expect(!status.text(now: start + .seconds(100)).contains("left"))
  }

  /// A run that is resumed goes by its own steps, and one with `max_minutes` ends by them.
  @Test func theTimeLeft() throws {
    let limited = try status(limit: 30)
    limited.update(result(1), step: 101, seconds: 1)
    #expect(limited.text(now: start + .seconds(1)).hasSuffix("29 s left"))
    #expect(limited.text(now: start + .seconds(50)).hasSuffix(" 0 s left"))
  }

  @Test func linesAreDueByTheClock() {
    var clock = LineClock(every: .seconds(10), now: start)
    let due = (0..<50).filter { clock.isDue(start + .seconds($0)) }
    #expect(due == [10, 20, 30, 40])
  }
}
