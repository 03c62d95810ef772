import Checkpoints
import Communication
import InteractionData
import SystemSupport
import Training

/// What `tune` was asked for.
package struct TuningOptions: Sendable {
  /// Data, recipe, configuration and settings that all trials share. Its run folder holds the trials.
  package var training = TrainingOptions()
  /// A file; `SearchSpace`.
  package var space = ""
  /// Minutes of training, all trials together.
  package var budget = 60.0
  package var trials = 9

  package init() {}
}

/// Random search with successive halving: training runs, one after the other, each on all ranks and in a folder of its own, compared
/// by the best validation of `monitor`. The test items are never looked at.
///
/// The first trial of the first rung has the base configuration's own values, so that the search cannot end below it unnoticed.
package final class TuningRun {
  /// Validations per trial, which make its curve.
  static let validations = 4

  private let options: TuningOptions
  private let communicator: any Communicator
  private let log: (String) -> Void
  private let output: (String) -> Void
  private var table: TrialTable?

  package init(
    _ options: TuningOptions, communicator: any Communicator, log: @escaping (String) -> Void = { printError($0) },
    output: @escaping (String) -> Void = { print($0) }
  ) {
    self.options = options
    self.communicator = communicator
    self.log = communicator.rank == 0 ? log : { _ in }
    self.output = communicator.rank == 0 ? output : { _ in }
  }

  package func run() throws(CollectiveFailure) -> TrainingRun.Outcome {
    let folder = try communicator.broadcast(options.training.runFolder ?? "runs/tune")
    let base = try RunSetup.configuration(RankContext(communicator, log: log)) { () throws(ProgramFailure) in
      try options.training.configuration()
    }
    let text = try communicator.fromRankZero { () throws(ProgramFailure) in
      let bytes = try FileSystem.read(options.space, limit: 1 << 20)
      _ = try SearchSpace(yaml: String(decoding: bytes, as: UTF8.self), file: options.space)
      try FileSystem.createDirectories(folder)
      table = try TrialTable(folder: folder, question: question(base, space: bytes))
      return bytes
    }
    let space = try alike { () throws(ProgramFailure) in try SearchSpace(yaml: String(decoding: text, as: UTF8.self), file: options.space) }
    let plan = HalvingPlan(trials: options.trials, budget: options.budget)
    let draws = try draws(space, base)

    var numbers = Array(draws.indices)
    for (rung, length) in plan.rungs.enumerated() {
      log(
        "rung \(rung + 1) of \(plan.rungs.count): \(numbers.count) trials of \(DecimalText.fixed(length.minutes, 2)) minutes each")
      for number in numbers {
        let outcome = try train(rung: rung, number: number, draws[number], minutes: length.minutes, folder)
        if outcome == .stopped { return .stopped }
      }
      let next = rung + 1 < plan.rungs.count ? plan.rungs[rung + 1].trials : 1
      numbers = try communicator.broadcast(table?.best(ofRung: rung, count: next))
      if numbers.isEmpty {
        throw .onEveryRank(
          .internalFault,
          "no trial of rung \(rung + 1) came to a finite validation: a lower learning_rate in \(options.space), or another data set?")
      }
    }
    try finish(numbers[0], draws[numbers[0]], base, folder)
    return .finished
  }

  private func question(_ base: RunConfiguration, space: [UInt8]) -> String {
    let asked = base.yaml + "\n\(options.budget) \(options.trials)\n"
    return sha256Hex(Array(asked.utf8) + space)
  }

  /// Every trial's settings; a draw whose keys do not fit together is drawn again.
  private func draws(_ space: SearchSpace, _ base: RunConfiguration) throws(CollectiveFailure) -> [[(key: String, value: String)]] {
    var result: [[(key: String, value: String)]] = [[]]
    for trial in 1..<max(options.trials, 1) {
      var fitting: [(key: String, value: String)]?
      for attempt in 0..<100 where fitting == nil {
        let settings = space.draw(trial: trial, attempt: attempt, seed: base.seed)
        var trial = base.settings
        do throws(ProgramFailure) {
          for (key, value) in settings { try trial.set(key, value, origin: options.space) }
          _ = try RunConfiguration(trial)
          fitting = settings
        } catch { continue }
      }
      guard let fitting else {
        throw .onEveryRank(
          .usage, "\(options.space): its values hardly ever fit together, such as hidden_size and num_attention_heads.")
      }
      result.append(fitting)
    }
    return result
  }

  /// One trial of one rung, unless the table has its result already.
  private func train(
    rung: Int, number: Int, _ settings: [(key: String, value: String)], minutes: Double, _ folder: String
  ) throws(CollectiveFailure) -> TrainingRun.Outcome {
    let known = table?.trial(rung: rung, number: number)
    if try communicator.broadcast(known?.isDone ?? false) { return .finished }
    var training = options.training
    training.settings += settings.map { "\($0.key)=\($0.value)" } + ["holdout=\(Holdout.testAndValidation.rawValue)"]
    let knownSteps = try communicator.broadcast(known?.steps ?? 0)
    let steps = try knownSteps > 0 ? knownSteps : steps(training, minutes: minutes)
    let interval = max(1, (steps + Self.validations - 1) / Self.validations)
    training.settings += [
      "num_train_steps=\(steps)", "eval_every=\(interval)", "save_checkpoints_steps=\(interval)", "keep_checkpoints=1",
      "report_steps=\(interval)",
    ]
    let name = "rung-\(rung + 1)-trial-\(number)"
    training.runFolder = "\(folder)/\(name)"
    training.evaluatesTestItems = false
    var trial = Trial(rung: rung, number: number, steps: steps, settings: settings)
    try communicator.onRankZero { () throws(ProgramFailure) in try table?.put(trial) }
    log("\(name): \(steps) steps with \(settings.isEmpty ? "the configuration as it is" : trial.settingsText)")
    do throws(CollectiveFailure) {
      let run = TrainingRun(
        training, communicator: communicator, log: { [log] in if $0.hasPrefix("warning:") { log("\(name): \($0)") } },
        output: { _ in })
      if try run.run() == .stopped {
        log("stopped in \(name); the same command resumes it")
        return .stopped
      }
    } catch {
      // Numbers that are not finite end this trial alone, and reach every rank.
      guard error.exitCode == .internalFault, error.reach == .everyRank else { throw error }
      log("\(name): \(error.message)")
    }
    try communicator.onRankZero { () throws(ProgramFailure) in
      let metric = try training.configuration().monitor
      trial.curve = MetricsLog.values(of: metric, split: "validation", in: "\(folder)/\(name)/metrics.jsonl")
      trial.isDone = true
      try table?.put(trial)
      log("\(name): \(metric) \(trial.score.map { DecimalText.fixed($0, 4) } ?? "not finite")")
    }
    return .finished
  }

  /// Steps that fit into the minutes, by a few measured ones.
  private func steps(_ training: TrainingOptions, minutes: Double) throws(CollectiveFailure) -> Int {
    let seconds = try Benchmark.secondsPerStep(training, communicator: communicator)
    return try communicator.broadcast(max(Self.validations, Int(min(minutes * 60 / seconds, 1e9))))
  }

  /// The table, and the best trial as a configuration.
  private func finish(
    _ best: Int, _ settings: [(key: String, value: String)], _ base: RunConfiguration, _ folder: String
  ) throws(CollectiveFailure) {
    try communicator.onRankZero { () throws(ProgramFailure) in
      guard let table, let steps = table.trials.last(where: { $0.number == best })?.steps else { return }
      var chosen = base.settings
      for (key, value) in settings { try chosen.set(key, value, origin: options.space) }
      chosen.trainingSteps = steps
      chosen.trainingEpochs = nil
      try FileSystem.replaceAtomically("\(folder)/best.yaml", chosen.yaml)
      output("rung  trial   steps  \(base.monitor)  settings")
      for trial in table.trials.sorted(by: { ($0.rung, $0.score ?? -1) > ($1.rung, $1.score ?? -1) }) {
        let score = trial.score.map { DecimalText.fixed($0, 4) } ?? "not finite"
        output(
          pad("\(trial.rung + 1)", 4) + "  " + pad("\(trial.number)", 5) + "  " + pad("\(trial.steps)", 6) + "  "
            + pad(score, base.monitor.count) + "  " + (trial.settings.isEmpty ? "(as given)" : trial.settingsText))
      }
      output("best: trial \(best), as \(folder)/best.yaml; the curves are in \(folder)/trials.tsv")
      output(
        "next, with the validation items in training: bert4rec-dist train --config \(folder)/best.yaml --set holdout=test --run FOLDER")
    }
  }

  private func pad(_ text: String, _ width: Int) -> String { String(repeating: " ", count: max(0, width - text.count)) + text }
}
