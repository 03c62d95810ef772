import Checkpoints
import SystemSupport
import Training

/// What a run folder says of its run, as far as it can be read.
package struct RunRecord: Sendable {
  package let path: String
  /// The folder's name.
  package var name: String
  /// Every key; nil where neither config.yaml nor a checkpoint says it.
  package private(set) var settings: RunSettings?
  package private(set) var history = MetricsHistory()
  /// What the newest checkpoint with a whole trainer.json says.
  package private(set) var state: TrainerState?
  /// What is missing or damaged.
  package private(set) var notes: [String] = []

  /// Exit code 66 where there is no such folder or nothing of a run in it; what is damaged becomes a note.
  package init(reading path: String) throws(ProgramFailure) {
    guard FileSystem.kind(path) == .directory else { throw ProgramFailure(.unreadable, "\(path): no such folder; a run folder is needed") }
    self.path = path
    name = FileSystem.lastComponent(of: path)
    if name.isEmpty || name == "." || name == ".." { name = path }
    let run = RunFolder(path)
    readState(run)
    readConfiguration(run)
    if FileSystem.kind(run.metricsPath) == .file {
      history = try MetricsHistory(reading: run.metricsPath)
      noteDamage(run.metricsPath)
    } else if settings == nil {
      throw ProgramFailure(
        .unreadable, "\(path): no run folder: it has no metrics.jsonl, no config.yaml that can be read and no checkpoint (train makes all)")
    } else {
      notes.append("\(run.metricsPath) is not there: no curves, times and metrics")
    }
  }

  private mutating func readState(_ run: RunFolder) {
    for checkpoint in (try? run.checkpoints()) ?? [] {
      do throws(ProgramFailure) {
        state = try TrainerState.read(run.checkpointsPath + "/" + checkpoint)
        return
      } catch { notes.append("\(error.message); left out") }
    }
  }

  private mutating func readConfiguration(_ run: RunFolder) {
    do throws(ProgramFailure) {
      guard FileSystem.kind(run.configurationPath) == .file else {
        throw ProgramFailure(.unreadable, "\(run.configurationPath) is not there")
      }
      let bytes = try FileSystem.read(run.configurationPath, limit: 1 << 20)
      var read = RunSettings()
      try read.read(yaml: String(decoding: bytes, as: UTF8.self), file: run.configurationPath)
      settings = read
    } catch {
      guard let state else { return notes.append("\(error.message): no configuration") }
      var recorded = RunSettings()
      for (key, value) in state.configuration.sorted(by: { $0.key < $1.key }) {
        do throws(ProgramFailure) { try recorded.set(key, value, origin: run.checkpointsPath) } catch { notes.append(error.message) }
      }
      notes.append("\(error.message): the configuration is that of the newest checkpoint")
      settings = recorded
    }
  }

  private mutating func noteDamage(_ path: String) {
    let shown = 5
    for damage in history.damage.prefix(shown) { notes.append("\(path):\(damage.line): skipped, \(damage.reason)") }
    let count = history.damage.count
    if count > shown { notes.append("\(path): \(count) lines are skipped in all") }
  }

  /// The metric that chooses the best checkpoint.
  var monitor: String { settings?.monitor ?? RunSettings().monitor }

  /// The validation that is best by the monitor, of equal ones the earliest.
  var bestValidation: MetricsHistory.Evaluation? {
    var best: MetricsHistory.Evaluation?
    for validation in history.evaluations(of: "validation") {
      guard let value = validation.value(monitor) else { continue }
      if value > best?.value(monitor) ?? -.infinity { best = validation }
    }
    return best
  }

  /// Whether runs have the same data, as far as they say.
  static func haveSameData(_ runs: [RunRecord]) -> Bool { Set(runs.compactMap { $0.state?.dataFingerprint }).count <= 1 }

  /// The newest evaluation on the test items.
  var test: MetricsHistory.Evaluation? { history.evaluations.last { $0.split == "test" } }
}
