import Checkpoints
import Collectives
import Evaluation
import SystemSupport

/// The loop: a step on all ranks, the record, then whatever is due after it. Every rank takes the same decisions, rank 0 alone
/// touches the disk and the terminal.
struct TrainingLoop {
  let configuration: RunConfiguration
  let stopAfter: Int?
  let state: ModelState
  let step: TrainingStep
  let evaluation: TrainingEvaluation
  let disk: RunDisk
  let communicator: any Communicator
  let log: (String) -> Void

  private let records: StepRecords
  private var pace = Pace()

  init(
    configuration: RunConfiguration, stopAfter: Int?, state: ModelState, step: TrainingStep,
    evaluation: TrainingEvaluation, disk: RunDisk, communicator: any Communicator, log: @escaping (String) -> Void
  ) {
    self.configuration = configuration
    self.stopAfter = stopAfter
    self.state = state
    self.step = step
    self.evaluation = evaluation
    self.disk = disk
    self.communicator = communicator
    self.log = log
    records = StepRecords(communicator)
  }

  mutating func run() throws(Failure) -> TrainingRun.Outcome {
    let total = configuration.trainingSteps
    if let stopAfter, state.step >= stopAfter {
      log("stopped: \(state.step) of \(total) steps are done already, and --stop-after is \(stopAfter)")
      return .stopped
    }
    while state.step < total {
      pace.begin()
      let result = try step()
      try requireFinite(result)
      pace.end(result, instances: configuration.batchSize)
      let decision = try records.exchange(
        StepRecord(step: state.step, stop: StopSignals.isRequested, seconds: pace.lastStep))

      let isLast = state.step == total
      if state.step == 1 || isLast || state.step % configuration.reportInterval == 0 { try report(result) }
      if configuration.holdsOutValidation && (isLast || state.step % configuration.resolvedEvaluationInterval == 0) {
        try validate()
      }
      let stops = decision || state.step == stopAfter
      if isLast || stops || state.step % configuration.checkpointInterval == 0 {
        try communicator.onRankZero { () throws(Failure) in try disk.save() }
      }
      if stops && !isLast {
        log("stopped after step \(state.step) of \(total); the state is saved, the same command goes on")
        return .stopped
      }
    }
    return .finished
  }

  private func requireFinite(_ result: StepResult) throws(Failure) {
    if result.loss.isFinite && result.gradientNorm.isFinite { return }
    // Every rank has the same numbers, so all throw this.
    throw communicator.shared(
      Failure(
        .internalFault,
        "step \(state.step + 1): the loss is \(result.loss), the gradient norm \(result.gradientNorm), the learning rate "
          + "\(result.learningRate). The parameters are as the last good step left them; the last checkpoint is good. "
          + "A lower learning_rate or more num_warmup_steps may help."))
  }

  private mutating func report(_ result: StepResult) throws(Failure) {
    let speed = pace.take()
    guard communicator.rank == 0 else { return }
    log(
      "step \(state.step)/\(configuration.trainingSteps)  epoch \(result.epoch)  loss \(rounded(result.loss, 4))  "
        + "rate \(rounded(result.learningRate, 7))  norm \(rounded(result.gradientNorm, 3))  "
        + "\(rounded(speed.instances, 1)) instances/s")
    var line: [(key: String, value: MetricValue)] = [
      ("step", .int(state.step)), ("epoch", .int(result.epoch)), ("loss", .double(result.loss)),
      ("learning_rate", .double(result.learningRate)), ("gradient_norm", .double(result.gradientNorm)),
      ("instances_per_s", .double(speed.instances)), ("tokens_per_s", .double(speed.tokens)),
      ("seconds", .double(pace.elapsed)),
    ]
    line.append(("parameter_hash", .string(state.parameterHash)))
    try disk.append(line)
  }

  private func validate() throws(Failure) {
    let report = try evaluation.evaluate(.validation)
    try communicator.onRankZero { () throws(Failure) in
      guard let report else { return }
      try disk.append(report)
      for line in report.lines { log(line) }
      if disk.isBest(report) {
        try disk.save(best: report)
        log("best \(configuration.monitor) so far")
      }
    }
  }
}

/// Four decimals for people; files have all digits.
func rounded(_ value: Double, _ digits: Int) -> String {
  guard value.isFinite, abs(value) < 1e12 else { return "\(value)" }
  var scale = 1.0
  for _ in 0..<digits { scale *= 10 }
  return "\((value * scale).rounded() / scale)"
}
