import Communication
import SystemSupport

extension Benchmark {
  /// Seconds that a training step of this run takes, by a few of them, without evaluations and checkpoints. Every rank gets rank 0's
  /// figure.
  package static func secondsPerStep(
    _ options: TrainingOptions, communicator: any Communicator
  ) throws(CollectiveFailure) -> Double {
    let setup = try RunSetup(
      try RunSetup.configuration(options, mayResume: false, communicator: communicator, log: { _ in }), communicator: communicator,
      log: { _ in })
    _ = try MemoryCheck.run(MemoryPlan(.benchmark, setup, communicator), communicator)
    let state = try communicator.onEveryRank { () throws(Failure) in try ModelState(setup.modelConfiguration) }
    state.initialize(seed: setup.configuration.seed)
    let step = try TrainingStep(
      state: state, configuration: setup.configuration, instances: setup.instances, communicator: communicator,
      threads: setup.threads)
    let (clock, measured) = (ContinuousClock(), 5)
    for _ in 0..<warmUpSteps { _ = try step() }
    try communicator.waitForAll()
    let start = clock.now
    for _ in 0..<measured { _ = try step() }
    try communicator.waitForAll()
    return try communicator.broadcast((clock.now - start) / .seconds(Double(measured)))
  }
}
