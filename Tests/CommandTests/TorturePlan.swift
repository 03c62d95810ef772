import Foundation

/// What one try of a tortured run does, all of it drawn from the seed.
struct TorturePlan: CustomStringConvertible {
  enum Victim: String, CaseIterable { case rank, mpirun, all }

  enum Moment: String, CaseIterable {
    /// So long after the start.
    case time
    /// When so many steps are done.
    case steps
    /// As soon as an unfinished checkpoint is seen.
    case checkpoint
    /// As soon as the report of a step stands there that is evaluated, or all that is left is the test evaluation.
    case evaluation
    /// As soon as `latest` or `best` changes.
    case pointer
  }

  /// nil: without mpirun.
  let ranks: Int?
  let threads: Int
  /// nil: nothing is killed.
  let victim: Victim?
  /// Which of the ranks, counted round.
  let victimRank: Int
  let moment: Moment
  /// Reports that this try has to write before the moment may come.
  let reports: Int
  /// Seconds: since the start for `time`, else since the moment.
  let delay: Double
  /// The next try starts at once, whatever is left of this one.
  let hurries: Bool
  let table: String

  init(using random: inout some RandomNumberGenerator, kills: Bool) {
    ranks = [nil, 1, 2, 3, 4].randomElement(using: &random) ?? nil
    threads = Int.random(in: 1...2, using: &random)
    let victims = ranks == nil ? [.all] : Victim.allCases
    victim = kills ? victims.randomElement(using: &random) : nil
    // The first rank, which writes, more often.
    victimRank = max(0, Int.random(in: -3..<4, using: &random))
    moment = (Moment.allCases + [.checkpoint, .checkpoint]).randomElement(using: &random) ?? .time
    reports = Int.random(in: 1...15, using: &random)
    switch moment {
    // Starting takes longer under mpirun.
    case .time: delay = Double.random(in: 0...(ranks == nil ? 0.3 : 1.2), using: &random)
    // Most of them at once: a checkpoint is written in milliseconds.
    default: delay = max(0, Double.random(in: -0.02...0.01, using: &random))
    }
    hurries = Int.random(in: 0..<4, using: &random) == 0
    table = Bool.random(using: &random) ? "sharded" : "replicated"
  }

  var description: String {
    "\(ranks.map { "mpirun -np \($0)" } ?? "no mpirun"), \(threads) threads, table \(table), kill \(victim?.rawValue ?? "nothing") "
      + "(\(victimRank)) at \(moment.rawValue) after \(reports) reports and \(delay) s\(hurries ? ", hurried" : "")"
  }

  /// Whether the moment is there, once the reports are.
  func hasCome(since armed: RunGlimpse, now: RunGlimpse) -> Bool {
    switch moment {
    case .time, .steps: true
    case .checkpoint: now.isWritingCheckpoint
    case .evaluation: now.isEvaluating
    case .pointer: now.latest != armed.latest || now.best != armed.best
    }
  }
}

/// A run folder in one look, also while it is being written.
struct RunGlimpse: Equatable {
  let metrics: String
  /// Everything in checkpoints/.
  let names: Set<String>
  let latest, best: String?

  init(_ run: RunFiles) {
    func word(_ file: String) -> String? {
      (try? run.text("checkpoints/" + file))?.trimmingCharacters(in: .newlines)
    }
    metrics = (try? run.text("metrics.jsonl")) ?? ""
    names = Set((try? FileManager.default.contentsOfDirectory(atPath: run.path + "/checkpoints")) ?? [])
    (latest, best) = (word("latest"), word("best"))
  }

  /// Step of the last line, 0 without lines.
  var step: Int { lastLine["step"] as? Int ?? 0 }

  var leftovers: Set<String> { names.filter { $0.hasPrefix(".") || $0.hasSuffix(".tmp") } }

  var newest: String? { names.filter { $0.hasPrefix("step-") }.max() }

  /// From the first file of a checkpoint until `latest` names it and older ones are removed.
  var isWritingCheckpoint: Bool { !leftovers.isEmpty || newest != latest }

  /// A step that is evaluated has its report, and not yet its evaluation.
  var isEvaluating: Bool {
    if lastLine["loss"] != nil { return step > 0 && step % Torture.evaluationInterval == 0 }
    return step == Torture.steps && lastLine["split"] as? String == "validation" && newest == Torture.lastCheckpoint
  }

  private var lastLine: [String: Any] {
    guard let line = metrics.split(separator: "\n").last else { return [:] }
    return (try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]) ?? [:]
  }
}

/// The run that is tortured: short, with many checkpoints and evaluations.
enum Torture {
  static let steps = 70
  static let evaluationInterval = 10
  static let lastCheckpoint = "step-00000070"

  static let arguments =
    ["train", "--run", "run"]
    + settings([
      "num_train_steps": steps, "save_checkpoints_steps": 7, "eval_every": evaluationInterval, "keep_checkpoints": 2,
      "report_steps": 1, "batch_size": 16, "max_seq_length": 12, "hidden_size": 8, "num_attention_heads": 2,
      "intermediate_size": 12,
    ])

  /// How often a test kills, and what it draws from.
  static func fromEnvironment() -> (rounds: Int, seed: UInt64) {
    let environment = ProcessInfo.processInfo.environment
    return (
      environment["BERT4REC_TORTURE_ROUNDS"].flatMap { Int($0) } ?? 25,
      environment["BERT4REC_TORTURE_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0...(1 << 32))
    )
  }
}

/// What was hit, for the test's last line.
struct TortureCount: CustomStringConvertible {
  enum Place: String, CaseIterable {
    case start = "in the start"
    case steps = "in steps"
    case checkpoint = "in a checkpoint's write"
    case evaluation = "in an evaluation"
  }

  var places: [Place: Int] = [:]
  var victims: [TorturePlan.Victim: Int] = [:]
  var runs = 0
  /// Tries that found the run folder locked by what was left of the try before.
  var refused = 0
  /// Seconds from a kill until no process was left, at most, by victim.
  var longestEnd: [TorturePlan.Victim: Double] = [:]

  var kills: Int { victims.values.reduce(0, +) }

  /// Where a try that wrote `errors` was when it died.
  static func place(before: RunGlimpse, after: RunGlimpse, errors: String) -> Place {
    let hasWritten = errors.contains("\nstep ") || after.step > before.step
    let isPastStart = hasWritten || after.step == Torture.steps || !after.leftovers.isSubset(of: before.leftovers)
    if after == before || !isPastStart { return .start }
    if after.isWritingCheckpoint { return .checkpoint }
    return after.isEvaluating ? .evaluation : .steps
  }

  mutating func noteEnd(_ victim: TorturePlan.Victim, seconds: Double) {
    longestEnd[victim] = max(longestEnd[victim] ?? 0, seconds)
  }

  var description: String {
    let hit = Place.allCases.map { "\(places[$0] ?? 0) \($0.rawValue)" }.joined(separator: ", ")
    let killed = TorturePlan.Victim.allCases.map { victim in
      let seconds = ((longestEnd[victim] ?? 0) * 100).rounded() / 100
      return "\(victim.rawValue) \(victims[victim] ?? 0) times (all gone after \(seconds) s at most)"
    }
    return "\(kills) kills in \(runs) runs: \(hit); \(killed.joined(separator: ", ")); "
      + "\(refused) tries refused by the lock"
  }
}
