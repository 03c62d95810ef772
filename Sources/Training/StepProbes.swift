import BERT4RecModel
import Communication
import GradientSum
import SystemSupport

/// What a benchmark measures of a training step beside its time.
struct StepProbes {
  private let step: TrainingStep
  private let communicator: any Communicator
  private let cost: InstanceCost

  init(_ step: TrainingStep, _ state: ModelState, _ loss: LossConfiguration, _ communicator: any Communicator) {
    self.step = step
    self.communicator = communicator
    cost = InstanceCost(state.configuration, loss)
  }

  /// Useful work of the last step's batch, forward and backward, in FLOP.
  var usefulFlop: Double {
    3 * step.plan.references.reduce(0) { $0 + cost.flop(tokens: $1.tokenCount, masked: $1.maskedCount) }
  }

  /// After a step. How long the gradient's reduction takes by itself: the median of several, and that of a record of 64 bytes.
  func measureReduction() throws(CollectiveFailure) -> (bytes: Int, seconds: Double, latency: Double) {
    let records = StepRecords(communicator)
    var (sums, small) = ([Double](), [Double]())
    var bytes = 0
    for _ in 0..<9 {
      try communicator.waitForAll()
      let reduction = Stopwatch()
      bytes = try step.reduceAgain()
      sums.append(reduction.seconds)
      let exchange = Stopwatch()
      _ = try records.exchange(StepRecord(step: 0, seconds: 0))
      small.append(exchange.seconds)
    }
    return (bytes, sums.median, small.median)
  }
}
