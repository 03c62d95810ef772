import BERT4RecModel
import InteractionData
import SystemSupport

/// Writes the checkpoints of a run, all or nothing each: whatever happens in between, the earlier ones stay good.
///
/// Rank 0 alone has one. Buffers are flat, in `ParameterLayout` order.
package struct CheckpointWriter: Sendable {
  package let run: RunFolder
  package let configuration: ModelConfiguration
  /// How many of the newest are kept, at least 1; the best is kept besides.
  package let keepCheckpoints: Int

  private let layout: ParameterLayout
  /// What is the same in all checkpoints of a run: name and contents.
  private let constantFiles: [(name: String, bytes: [UInt8])]

  package init(
    run: RunFolder, configuration: ModelConfiguration, itemIDs: ExternalIDs, itemCounts: [Int64], keepCheckpoints: Int
  ) {
    let tokens = TokenIDs(itemCount: itemIDs.count)
    precondition(configuration.vocabularySize == tokens.vocabularySize, "the vocabulary is not the items and four more")
    precondition(keepCheckpoints >= 1, "at least the newest checkpoint is kept")
    self.run = run
    self.configuration = configuration
    self.keepCheckpoints = keepCheckpoints
    layout = ParameterLayout(configuration)
    constantFiles = [
      (
        CheckpointName.modelConfiguration,
        Array((configuration.huggingFaceJSON(maskToken: tokens.mask).pretty + "\n").utf8)
      ),
      (CheckpointName.items, ItemTable.encode(ids: itemIDs, counts: itemCounts)),
    ]
  }

  /// Writes the checkpoint of `state.step`, points `latest` at it and removes what is no longer kept. A checkpoint of
  /// the same step is replaced.
  ///
  /// Returns the new folder's path. Exit code 74 when the disk does not do it; nothing half-written stays then.
  @discardableResult
  package func write(
    state: TrainerState, parameters: UnsafeBufferPointer<Float>, firstMoment: UnsafeBufferPointer<Float>,
    secondMoment: UnsafeBufferPointer<Float>
  ) throws(ProgramFailure) -> String {
    let buffers = [parameters, firstMoment, secondMoment]
    for buffer in buffers { precondition(buffer.count == layout.count, "the buffer does not have the layout's size") }
    return try write(state: state) { (buffer, take) throws(ProgramFailure) in try take(buffers[buffer.rawValue]) }
  }

  /// The same of buffers that are nowhere as a whole.
  /// - Parameter read: calls `take` with one part of the buffer after the other, each buffer once.
  @discardableResult
  package func write(
    state: TrainerState,
    _ read: (_ buffer: StateBuffer, _ take: @escaping (UnsafeBufferPointer<Float>) throws(ProgramFailure) -> Void) throws(ProgramFailure) ->
      Void
  ) throws(ProgramFailure) -> String {
    // JSON has no other numbers: the checkpoint could not be read again.
    precondition(state.best?.score.isFinite ?? true, "the best score is not finite")
    let folder = run.checkpointsPath
    let name = CheckpointName.folder(step: state.step)
    let temporary = folder + "/" + CheckpointName.temporaryPrefix + name
    try FileSystem.createDirectories(folder)
    try run.recoverInterruptedWrites()

    do throws(ProgramFailure) {
      try FileSystem.createDirectories(temporary)
      try writeFiles(temporary, state, read)
      try FileSystem.syncDirectory(temporary)
      // `recoverInterruptedWrites` brings an older checkpoint of this step back if its successor never arrives.
      try FileSystem.replaceFolder(folder + "/" + name, by: temporary, aside: folder + "/" + CheckpointName.replacedPrefix + name)
    } catch {
      // The first failure is the one to tell; the rest of the folder goes at the next write if it does not now.
      try? FileSystem.removeRecursively(temporary)
      throw ProgramFailure(
        .disk, "checkpoint of step \(state.step) was not written; earlier checkpoints are intact: \(error.message)")
    }
    try FileSystem.replaceAtomically(folder + "/" + CheckpointName.latest, name + "\n")
    try prune(written: name, best: state.best.map { CheckpointName.folder(step: $0.step) })
    return folder + "/" + name
  }

  private func writeFiles(
    _ folder: String, _ state: TrainerState,
    _ read: (_ buffer: StateBuffer, _ take: @escaping (UnsafeBufferPointer<Float>) throws(ProgramFailure) -> Void) throws(ProgramFailure) ->
      Void
  ) throws(ProgramFailure) {
    var state = state
    for file in constantFiles {
      try FileSystem.writeDurably(folder + "/" + file.name, file.bytes)
      state.files[file.name] = FileRecord(sha256: sha256Hex(file.bytes), bytes: file.bytes.count)
    }
    let model = try SafeTensors.write(
      folder + "/" + CheckpointName.model, tensors: layout.slots.map { ($0.name, $0.shape) }
    ) { (take) throws(ProgramFailure) in try read(.parameters, take) }
    state.parameterHash = model.dataHash
    state.files[CheckpointName.model] = model.file
    let moments = try SafeTensors.write(
      folder + "/" + CheckpointName.optimizer, tensors: layout.momentTensors
    ) { (take) throws(ProgramFailure) in
      try read(.firstMoment, take)
      try read(.secondMoment, take)
    }
    state.files[CheckpointName.optimizer] = moments.file
    try FileSystem.writeDurably(folder + "/" + CheckpointName.trainer, state.encoded())
  }

  /// Removes all but the newest `keepCheckpoints`, the best and the one just written. Where the file `best` is damaged and nothing
  /// else says which is the best, any may be, and all stay.
  private func prune(written: String, best: String?) throws(ProgramFailure) {
    let names = try run.checkpoints()
    var pointed: String?
    do throws(ProgramFailure) { pointed = try run.best() } catch { if best == nil { return } }
    let kept = Set(names.prefix(keepCheckpoints) + [written] + [best, pointed].compactMap { $0 })
    for name in names where !kept.contains(name) {
      // Renamed first: half a checkpoint is never seen under a checkpoint's name.
      let doomed = run.checkpointsPath + "/" + CheckpointName.temporaryPrefix + name
      try FileSystem.rename(run.checkpointsPath + "/" + name, doomed)
      try FileSystem.removeRecursively(doomed)
    }
  }
}
