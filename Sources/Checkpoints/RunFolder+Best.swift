import SystemSupport

/// Which checkpoint a run folder stands for: the best one that is whole.
extension RunFolder {
  /// The checkpoint behind a path: itself, or a run folder's best, else latest, else newest one. A damaged checkpoint or pointer of a
  /// run folder is named by `log` and left untouched, and what is best or newest without it is taken. Writes nothing, since the run may
  /// be going on.
  ///
  /// Exit code 66 where there is none, with what was looked for; 65 where the checkpoint, or each of the run folder's, is damaged.
  package static func open(
    _ path: String, withMoments: Bool = false, log: (String) -> Void
  ) throws(ProgramFailure) -> CheckpointReader {
    guard FileSystem.kind(path) == .directory else {
      throw ProgramFailure(.unreadable, "\(path): no such folder; a checkpoint folder or a run folder is needed")
    }
    for file in [CheckpointName.trainer, CheckpointName.model] where FileSystem.kind(path + "/" + file) != nil {
      return try CheckpointReader.open(path, withMoments: withMoments)
    }
    let run = RunFolder(path)
    let existing = try run.checkpoints()
    guard !existing.isEmpty else {
      throw ProgramFailure(
        .unreadable,
        "no checkpoint in \(path): looked for \(CheckpointName.trainer) in it (a checkpoint folder) and for "
          + "checkpoints/step-... in it (a run folder)")
    }
    let candidates = try run.candidates(existing, log: log)
    guard let checkpoint = run.firstGood(of: candidates, withMoments: withMoments, log: log) else {
      throw run.noneIsGood(existing.count)
    }
    if FileSystem.lastComponent(of: checkpoint.path) != candidates.first { log("\(checkpoint.path) is taken instead") }
    return checkpoint
  }

  /// Names to try, the preferred one first, none twice.
  private func candidates(_ existing: [String], log: (String) -> Void) throws(ProgramFailure) -> [String] {
    /// What a pointer names; nil where it is not there or, which is said, damaged.
    func named(_ pointer: () throws(ProgramFailure) -> String?) -> String? {
      do throws(ProgramFailure) { return try pointer() } catch {
        log(error.message)
        return nil
      }
    }
    var names = [named(best)].compactMap { $0 }
    // Without the file there was no validation, or none that chose.
    if FileSystem.kind(checkpointsPath + "/" + CheckpointName.best) == .file, let metric = monitoredMetric(existing) {
      names += validations(of: metric).map { CheckpointName.folder(step: $0.step) }.filter(existing.contains)
    }
    names += [named(latest)].compactMap { $0 } + existing
    var seen: Set<String> = []
    return names.filter { seen.insert($0).inserted }
  }

  /// The metric that chooses the best checkpoint, of the newest checkpoint that says it.
  private func monitoredMetric(_ names: [String]) -> String? {
    for name in names {
      guard let state = try? TrainerState.read(checkpointsPath + "/" + name) else { continue }
      if let metric = state.best?.metric ?? state.configuration["monitor"] { return metric }
    }
    return nil
  }

  /// The validations that metrics.jsonl knows of, by this metric, the best first, of equal ones the earliest.
  package func validations(of metric: String) -> [TrainerState.Best] {
    MetricsLog.values(of: metric, split: "validation", in: metricsPath)
      .map { TrainerState.Best(step: $0.step, score: $0.value, metric: metric) }
      .sorted { $0.score == $1.score ? $0.step < $1.step : $0.score > $1.score }
  }

  /// Writes into a checkpoint that is there which one is the best; all else in it stays. Exit code 74 where the disk does not do it.
  package func note(_ best: TrainerState.Best, inCheckpointOfStep step: Int) throws(ProgramFailure) {
    let folder = checkpointsPath + "/" + CheckpointName.folder(step: step)
    var state = try TrainerState.read(folder)
    state.best = best
    try FileSystem.replaceAtomically(folder + "/" + CheckpointName.trainer, state.encoded())
  }
}
