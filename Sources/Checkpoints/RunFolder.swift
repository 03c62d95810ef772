import SystemSupport

/// A run's folder: config.yaml, metrics.jsonl, lock, and checkpoints/ with `latest` and `best`.
package struct RunFolder: Sendable {
  package let path: String

  package init(_ path: String) { self.path = path }

  package var checkpointsPath: String { path + "/checkpoints" }
  package var configurationPath: String { path + "/config.yaml" }
  package var metricsPath: String { path + "/metrics.jsonl" }
  /// TensorBoard's events.
  package var tensorBoardPath: String { path + "/tensorboard" }

  /// Makes the folder and checkpoints/ in it. Exit code 74 where that cannot be done.
  package func create() throws(ProgramFailure) {
    try FileSystem.createDirectories(path)
    try FileSystem.createDirectories(checkpointsPath)
  }

  /// Makes the folder and puts the resolved configuration into it.
  package func create(configuration yaml: String) throws(ProgramFailure) {
    try create()
    try FileSystem.replaceAtomically(configurationPath, yaml)
  }

  // MARK: Checkpoints

  /// Names of the checkpoint folders, newest (highest step) first; unfinished ones are not among them.
  package func checkpoints() throws(ProgramFailure) -> [String] {
    guard FileSystem.kind(checkpointsPath) == .directory else { return [] }
    var folders: [(step: Int, name: String)] = []
    for name in try FileSystem.list(checkpointsPath) {
      if let step = CheckpointName.step(ofFolder: name) { folders.append((step, name)) }
    }
    return folders.sorted { $0.step > $1.step }.map(\.name)
  }

  /// The newest checkpoint that is whole, opened with its moments; nil where there is no checkpoint at all.
  ///
  /// A damaged one is named by `log`, with what is wrong, and left untouched. Where all are damaged, exit code 65: to
  /// start from nothing is the user's decision. `latest` names the one that is returned: a crash may have come between a
  /// checkpoint and its name.
  package func newestGood(log: (String) -> Void) throws(ProgramFailure) -> CheckpointReader? {
    try recoverInterruptedWrites()
    let names = try checkpoints()
    guard let checkpoint = firstGood(of: names, withMoments: true, log: log) else {
      if names.isEmpty { return nil }
      throw noneIsGood(names.count)
    }
    let name = FileSystem.lastComponent(of: checkpoint.path)
    if (try? latest()) != name {
      try FileSystem.replaceAtomically(checkpointsPath + "/" + CheckpointName.latest, name + "\n")
    }
    return checkpoint
  }

  /// The first of some checkpoints that is whole; nil where none is. Those before it are named by `log`, with what is wrong.
  package func firstGood(of names: [String], withMoments: Bool, log: (String) -> Void) -> CheckpointReader? {
    for name in names {
      do throws(ProgramFailure) { return try open(name, withMoments: withMoments) } catch {
        let isThere = FileSystem.kind(checkpointsPath + "/" + name) != nil
        log("checkpoint \(name) cannot be used\(isThere ? " and is left untouched" : ""): \(error.message)")
      }
    }
    return nil
  }

  func noneIsGood(_ count: Int) -> ProgramFailure {
    ProgramFailure(
      .badData,
      "none of the \(count) checkpoints in \(checkpointsPath) can be used: restore one from a copy, or start "
        + "a new run in another folder (--run)")
  }

  private func open(_ name: String, withMoments: Bool) throws(ProgramFailure) -> CheckpointReader {
    let checkpoint = try CheckpointReader.open(checkpointsPath + "/" + name, withMoments: withMoments)
    guard CheckpointName.folder(step: checkpoint.state.step) == name else {
      throw ProgramFailure(
        .badData,
        "\(checkpoint.path)/\(CheckpointName.trainer) is of step \(checkpoint.state.step): the folder was renamed, or "
          + "holds another checkpoint")
    }
    return checkpoint
  }

  /// Name of the checkpoint that was written last, as the file `latest` says.
  package func latest() throws(ProgramFailure) -> String? { try pointer(CheckpointName.latest) }

  /// Name of the checkpoint with the best validation, as the file `best` says.
  package func best() throws(ProgramFailure) -> String? { try pointer(CheckpointName.best) }

  /// Makes the checkpoint of a step the best one.
  package func setBest(step: Int) throws(ProgramFailure) {
    let name = CheckpointName.folder(step: step)
    guard FileSystem.kind(checkpointsPath + "/" + name) == .directory else {
      throw ProgramFailure(.disk, "\(checkpointsPath)/\(name) is not there any more: something else removed it")
    }
    try FileSystem.replaceAtomically(checkpointsPath + "/" + CheckpointName.best, name + "\n")
  }

  /// Makes no checkpoint the best one.
  package func removeBest() throws(ProgramFailure) {
    let path = checkpointsPath + "/" + CheckpointName.best
    if FileSystem.kind(path) == .file { try FileSystem.removeRecursively(path) }
  }

  private func pointer(_ file: String) throws(ProgramFailure) -> String? {
    let path = checkpointsPath + "/" + file
    guard FileSystem.kind(path) == .file else { return nil }
    let bytes = try FileSystem.read(path, limit: 256)
    let text = String(decoding: bytes.last == UInt8(ascii: "\n") ? bytes.dropLast() : bytes[...], as: UTF8.self)
    // Only a plain folder name is taken, whatever stands in the file.
    guard CheckpointName.step(ofFolder: text) != nil else {
      throw ProgramFailure(
        .badData,
        "\(path) is damaged: it holds \(JSON.string(String(text.prefix(60))).line), not a name such as step-00001000")
    }
    return text
  }

  // MARK: After a crash

  /// Clears what an interrupted write left: unfinished folders go, a checkpoint that was set aside for a successor that
  /// never arrived comes back.
  func recoverInterruptedWrites() throws(ProgramFailure) {
    guard FileSystem.kind(checkpointsPath) == .directory else { return }
    for name in try FileSystem.list(checkpointsPath) {
      let leftover = checkpointsPath + "/" + name
      if name.hasPrefix(CheckpointName.temporaryPrefix) {
        try FileSystem.removeRecursively(leftover)
      } else if name.hasPrefix(CheckpointName.replacedPrefix) {
        let target = String(name.dropFirst(CheckpointName.replacedPrefix.count))
        guard CheckpointName.step(ofFolder: target) != nil else { continue }
        if FileSystem.kind(checkpointsPath + "/" + target) == nil {
          try FileSystem.rename(leftover, checkpointsPath + "/" + target)
        } else {
          try FileSystem.removeRecursively(leftover)
        }
      }
    }
  }
}
