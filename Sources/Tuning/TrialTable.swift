import Checkpoints
import SystemSupport

/// A trial in one rung.
package struct Trial: Equatable {
  package let rung: Int
  package let number: Int
  package let steps: Int
  package let settings: [(key: String, value: String)]
  /// Validations of the monitored metric, in order; empty until the trial has ended, and where its numbers were not finite.
  package var curve: [(step: Int, value: Double)]
  package var isDone: Bool

  /// The best validation.
  package var score: Double? { curve.map(\.value).max() }

  package var settingsText: String { settings.map { "\($0.key)=\($0.value)" }.joined(separator: " ") }

  package static func == (a: Trial, b: Trial) -> Bool { a.line == b.line }

  /// Its line in trials.tsv.
  package var line: String {
    let curve = curve.map { "\($0.step):\($0.value)" }.joined(separator: " ")
    let result = isDone ? (score.map { "\($0)" } ?? "failed") : "running"
    return [
      "\(rung)", "\(number)", "\(steps)", result, curve, settingsText,
    ].joined(separator: "\t")
  }

  package init(
    rung: Int, number: Int, steps: Int, settings: [(key: String, value: String)], curve: [(step: Int, value: Double)] = [],
    isDone: Bool = false
  ) {
    self.rung = rung
    self.number = number
    self.steps = steps
    self.settings = settings
    self.curve = curve
    self.isDone = isDone
  }

  package init?(line: String) {
    let fields = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
    guard fields.count == 6, let rung = Int(fields[0]), let number = Int(fields[1]), let steps = Int(fields[2]), rung >= 0,
      number >= 0, steps >= 1
    else { return nil }
    var curve: [(step: Int, value: Double)] = []
    for point in fields[4].split(separator: " ") {
      let parts = point.split(separator: ":")
      guard parts.count == 2, let step = Int(parts[0]), let value = Double(parts[1]) else { return nil }
      curve.append((step, value))
    }
    var settings: [(key: String, value: String)] = []
    for setting in fields[5].split(separator: " ") {
      guard let equals = setting.firstIndex(of: "=") else { return nil }
      settings.append((String(setting[..<equals]), String(setting[setting.index(after: equals)...])))
    }
    self.init(
      rung: rung, number: number, steps: steps, settings: settings, curve: curve, isDone: fields[3] != "running")
    guard line == self.line else { return nil }
  }
}

/// trials.tsv of a tuning folder: what was asked for, and a line per trial and rung. Rank 0 alone has one.
package struct TrialTable {
  package static let header = "rung\ttrial\tsteps\tscore\tcurve\tsettings"

  private let path: String
  /// Search space, base configuration, budget and seed as one hash: another question must not get these answers.
  private let question: String
  package private(set) var trials: [Trial] = []

  /// Reads the file, if it is there. Exit code 64 where it answers another question, 65 where it is damaged.
  package init(folder: String, question: String) throws(ProgramFailure) {
    path = "\(folder)/trials.tsv"
    self.question = question
    guard FileSystem.kind(path) != nil else { return }
    let lines = String(decoding: try FileSystem.read(path, limit: 1 << 26), as: UTF8.self).split(separator: "\n").map(String.init)
    guard lines.count >= 2, lines[0].hasPrefix("# "), lines[1] == Self.header else {
      throw ProgramFailure(.badData, "\(path) is no table of trials, or damaged: give another folder with --run.")
    }
    guard lines[0] == "# \(question)" else {
      throw ProgramFailure(
        .usage,
        "\(path) is of another search (other data, configuration, space, budget, number of trials or seed). Give what it was begun "
          + "with, or another folder with --run.")
    }
    for (index, line) in lines.dropFirst(2).enumerated() {
      guard let trial = Trial(line: line) else { throw ProgramFailure(.badData, "\(path):\(index + 3): not a trial's line.") }
      trials.append(trial)
    }
  }

  package func trial(rung: Int, number: Int) -> Trial? { trials.first { $0.rung == rung && $0.number == number } }

  /// Adds the trial, or takes the place of its earlier line, and writes the file.
  package mutating func put(_ trial: Trial) throws(ProgramFailure) {
    if let index = trials.firstIndex(where: { $0.rung == trial.rung && $0.number == trial.number }) {
      trials[index] = trial
    } else {
      trials.append(trial)
    }
    let lines = ["# \(question)", Self.header] + trials.map(\.line)
    try FileSystem.replaceAtomically(path, lines.joined(separator: "\n") + "\n")
  }

  /// The trials of a rung that go on to the next: the best, the earlier of equals first, none that failed.
  package func best(ofRung rung: Int, count: Int) -> [Int] {
    let scored = trials.filter { $0.rung == rung && $0.score != nil }
    let order = scored.sorted { ($0.score ?? 0, $1.number) > ($1.score ?? 0, $0.number) }
    return order.prefix(count).map(\.number)
  }
}
