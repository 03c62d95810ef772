import Checkpoints
import SystemSupport

/// The settings that a run folder or a checkpoint keeps, so that a run is resumed by its name alone.
struct RecordedSettings {
  /// The file that they stand in.
  let path: String
  var leavesOutData = false
  private let source: Source

  private enum Source {
    case yaml(String)
    case checkpoint([String: String])
  }

  /// Of a run folder its config.yaml, else the newest checkpoint that can be read; or of a checkpoint folder. Nil where there is
  /// neither.
  init?(_ folder: String) throws(ProgramFailure) {
    if FileSystem.kind(folder + "/" + CheckpointName.trainer) != nil {
      source = .checkpoint(try TrainerState.read(folder).configuration)
      path = folder + "/" + CheckpointName.trainer
      return
    }
    let run = RunFolder(folder)
    if FileSystem.kind(run.configurationPath) != nil {
      (source, path) = (.yaml(try RunSettings.text(ofFile: run.configurationPath)), run.configurationPath)
      return
    }
    for name in try run.checkpoints() {
      let checkpoint = run.checkpointsPath + "/" + name
      guard let state = try? TrainerState.read(checkpoint) else { continue }
      (source, path) = (.checkpoint(state.configuration), checkpoint + "/" + CheckpointName.trainer)
      return
    }
    return nil
  }

  /// Sets all keys but `threads`, which is the machine's.
  func apply(to settings: inout RunSettings) throws(ProgramFailure) {
    let (threads, data) = (settings.threads, settings.data)
    switch source {
    case .yaml(let text):
      do throws(ProgramFailure) { try settings.read(yaml: text, file: path) } catch {
        throw ProgramFailure(
          error.exitCode,
          "\(error.message) That file keeps the settings of the run that is resumed: mend it, or remove it and give all settings again.")
      }
    case .checkpoint(let values):
      for (key, value) in values.sorted(by: { $0.key < $1.key }) { try settings.set(key, value, origin: path) }
    }
    settings.threads = threads
    if leavesOutData { settings.data = data }
  }
}
