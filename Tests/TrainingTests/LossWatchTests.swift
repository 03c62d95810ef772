import BERT4RecModel
import Glibc
import Testing
import Training

/// What is said, once, about numbers that look wrong.
@Suite struct LossWatchTests {
  /// Half of all interactions are with the first of 1,001 items.
  private static let itemCounts: [Int64] = [1000] + [Int64](repeating: 1, count: 1000)
  private let popularity = log(2.0) + 0.5 * log(1000.0)

  private func warnings(
    _ losses: [Double], norm: Double = 1, rate: Double = 0.01, warmupSteps: Int = 0, firstStep: Int = 1,
    loss: LossKind = .full
  ) -> [String] {
    var said: [String] = []
    let schedule = LearningRateSchedule(peak: rate, warmupSteps: warmupSteps, totalSteps: 1_000_000)
    let watch = LossWatch(itemCounts: Self.itemCounts, schedule: schedule, loss: loss) { said.append($0) }
    for (index, loss) in losses.enumerated() {
      _ = watch.afterStep(
        StepResult(
          loss: loss, gradientNorm: norm, learningRate: 0.01, tokenCount: 1, maskedCount: 1, epoch: 0, workSeconds: 0),
        step: firstStep + index)
    }
    return said
  }

  /// `count` losses around a mean.
  private func losses(_ mean: Double, _ count: Int) -> [Double] { (0..<count).map { mean + ($0.isMultiple(of: 2) ? 0.1 : -0.1) } }

  @Test func aRunThatLearnsIsLeftAlone() {
    var losses: [Double] = []
    for step in 0..<3000 { losses.append(4.1 - 0.001 * Double(step) + (step.isMultiple(of: 2) ? 0.3 : -0.3)) }
    #expect(warnings(losses).isEmpty)
  }

  /// Far below ln(1001), which is 6.9.
  @Test func nothingButPopularity() {
    let said = warnings(losses(popularity, 3000))
    #expect(said.count == 1)
    #expect(said.first?.hasPrefix("warning: at step 1000 the model knows nothing but how often items occur") == true, "\(said)")
    #expect(said.first?.contains("a loss of 4.147: its own is 4.1") == true, "\(said)")
    #expect(warnings(losses(popularity, 999)).isEmpty)
    #expect(warnings(losses(popularity, 1099), warmupSteps: 100).isEmpty)
    #expect(warnings(losses(popularity, 1100), warmupSteps: 100).count == 1)
    // A low rate needs more steps to get as far; a rate of 0 gets nowhere.
    #expect(warnings(losses(popularity, 4999), rate: 2e-4).isEmpty)
    #expect(warnings(losses(popularity, 5000), rate: 2e-4).count == 1)
    #expect(warnings(losses(popularity, 5000), rate: 0).isEmpty)
    // Two percent below, something has been learnt.
    #expect(warnings(losses(0.98 * popularity, 3000)).isEmpty)
  }

  /// A model that forgets what it had learnt, and a run that is resumed there: a few losses are no judgement.
  @Test func fallingBackToPopularity() {
    let said = warnings(losses(0.95 * popularity, 2000) + losses(popularity, 200))
    #expect(said.count == 1 && said.first?.contains("nothing but how often items occur") == true, "\(said)")
    #expect(warnings(losses(popularity, 99), firstStep: 5000).isEmpty)
    #expect(warnings(losses(popularity, 100), firstStep: 5000).count == 1)
  }

  /// The other losses cannot be held against popularity; a rise is judged where the scale is that of the full loss.
  @Test func otherLosses() {
    for loss in LossKind.allCases where loss != .full {
      #expect(warnings(losses(popularity, 3000), loss: loss).isEmpty, "\(loss)")
      #expect(warnings(losses(3, 200) + losses(4, 200), loss: loss).count == (loss == .sampled ? 1 : 0), "\(loss)")
      #expect(warnings([6, 6], norm: 0, loss: loss).count == 1, "\(loss)")
    }
  }

  @Test func aNormOfZero() {
    let said = warnings([6, 6, 6], norm: 0)
    #expect(said.count == 1 && said[0].contains("the gradient norm is 0 at step 1"))
  }

  @Test func aLossThatRises() {
    var losses = [Double](repeating: 3, count: 200)
    for step in 100..<200 { losses[step] = 4 }
    let said = warnings(losses)
    #expect(said.count == 1 && said[0].contains("the loss has risen from 3.0 at step") && said[0].contains("too high"))
    // A single bad batch is no trend.
    #expect(warnings([5, 5, 5, 9, 5, 5, 5]).isEmpty)
  }
}
