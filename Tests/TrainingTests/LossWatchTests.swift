import Testing
import Training

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// What is said, once, about numbers that look wrong.
@Suite struct LossWatchTests {
  private func warnings(_ losses: [Double], norm: Double = 1, warmupSteps: Int = 0) -> [String] {
    var said: [String] = []
    var watch = LossWatch(vocabularySize: 1000, warmupSteps: warmupSteps) { said.append($0) }
    for (index, loss) in losses.enumerated() {
      watch.see(
        StepResult(
          loss: loss, gradientNorm: norm, learningRate: 0.01, tokenCount: 1, maskedCount: 1, epoch: 0, workSeconds: 0),
        step: index + 1)
    }
    return said
  }

  private let guessing = log(1000.0)

  @Test func aRunThatLearnsIsLeftAlone() {
    var losses: [Double] = []
    for step in 0..<3000 { losses.append(7 - 0.001 * Double(step) + (step.isMultiple(of: 2) ? 0.3 : -0.3)) }
    #expect(warnings(losses).isEmpty)
  }

  @Test func aboveGuessingForLong() {
    let losses = [Double](repeating: guessing + 0.01, count: 1000)
    #expect(warnings(Array(losses[..<199])).isEmpty)
    let said = warnings(losses)
    #expect(said.count == 1 && said[0].hasPrefix("warning: the loss has been above 6.91, which is ln(vocabulary)"))
    // The warm-up does not count, and one good step starts the count again.
    #expect(warnings(Array(losses[..<299]), warmupSteps: 100).isEmpty)
    var interrupted = [Double](losses[..<399])
    interrupted[199] = guessing - 0.01
    #expect(warnings(interrupted).isEmpty)
  }

  @Test func aNormOfZero() {
    let said = warnings([6, 6, 6], norm: 0)
    #expect(said.count == 1 && said[0].contains("the gradient norm is 0 at step 1"))
  }

  @Test func aLossThatRises() {
    var losses = [Double](repeating: 5, count: 200)
    for step in 100..<200 { losses[step] = 6 }
    let said = warnings(losses)
    #expect(said.count == 1 && said[0].contains("the loss has risen from 5.0 at step") && said[0].contains("too high"))
    // A single bad batch is no trend.
    #expect(warnings([5, 5, 5, 9, 5, 5, 5]).isEmpty)
  }
}
