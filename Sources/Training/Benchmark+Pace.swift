import Communication
import SystemSupport

extension Benchmark {
  /// Seconds that a training step of this run takes, by a few of them, without evaluations and checkpoints. Every rank gets rank 0's
  /// figure.
  package static func secondsPerStep(
    _ options: TrainingOptions, communicator: any Communicator
  ) throws(CollectiveFailure) -> Double {
    let step = try prepare(options, RankContext(communicator)).step
    let measured = 5
    for _ in 0..<warmUpSteps { _ = try step() }
    try communicator.waitForAll()
    let watch = Stopwatch()
    for _ in 0..<measured { _ = try step() }
    try communicator.waitForAll()
    return try communicator.broadcast(watch.seconds / Double(measured))
  }
}
