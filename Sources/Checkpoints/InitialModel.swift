import BERT4RecModel
import InteractionData
import SystemSupport

/// A model that another run begins from, found whole: one of this program's checkpoints, or a Hugging Face folder with an
/// items.tsv.
///
/// Its files are mapped, not read: they take no memory of the process beside the buffers that they are copied to.
package struct InitialModel: Sendable {
  private enum Source {
    case checkpoint(CheckpointReader)
    case folder(HuggingFaceFolder)
  }

  private let source: Source
  private let hasMoments: Bool

  /// `path`: a checkpoint folder, a run folder (its best checkpoint that is whole, else its latest, as for evaluation), or a
  /// folder with config.json, model.safetensors and items.tsv. `log` is told which of a run folder's checkpoints are damaged.
  ///
  /// Exit code 66 where a file is not there or not readable, 65 where something is wrong with it, 64 where moments are
  /// wanted and the folder has none.
  package static func open(_ path: String, withMoments: Bool, log: (String) -> Void) throws(ProgramFailure) -> InitialModel {
    func has(_ file: String) -> Bool { FileSystem.kind(path + "/" + file) != nil }
    if withMoments && has(CheckpointName.model) && !has(CheckpointName.optimizer) {
      throw ProgramFailure(
        .usage,
        "\(path) has no \(CheckpointName.optimizer), so there are no moments to keep: leave out --keep-moments (init_moments), and "
          + "they start at zero, or give a checkpoint that has them.")
    }
    // With moments, but without trainer.json, it is an incomplete copy of a checkpoint, and refused as one.
    if has(CheckpointName.model) && !has(CheckpointName.trainer) && !has(CheckpointName.optimizer) {
      return InitialModel(source: .folder(try HuggingFaceFolder(path)), hasMoments: false)
    }
    return InitialModel(
      source: .checkpoint(try RunFolder.open(path, withMoments: withMoments, log: log)), hasMoments: withMoments)
  }

  /// The folder that was used.
  package var path: String {
    switch source {
    case .checkpoint(let reader): reader.path
    case .folder(let folder): folder.path
    }
  }

  package var configuration: ModelConfiguration {
    switch source {
    case .checkpoint(let reader): reader.configuration
    case .folder(let folder): folder.configuration
    }
  }

  /// External id of item `i` at index `i - 1`; none twice.
  package var itemIDs: ExternalIDs {
    switch source {
    case .checkpoint(let reader): reader.itemIDs
    case .folder(let folder): folder.itemIDs
    }
  }

  /// Updates that it was trained by; nil where the folder does not say.
  package var step: Int? {
    switch source {
    case .checkpoint(let reader): reader.state.step
    case .folder: nil
    }
  }

  /// A parameter as little-endian float32, row-major, perhaps not aligned. `slot` is one of its own layout's. The bytes live as
  /// long as this value.
  package func parameter(_ slot: ParameterSlot) -> UnsafeRawBufferPointer {
    switch source {
    case .checkpoint(let reader): reader.parameter(slot)
    case .folder(let folder): folder.parameter(slot)
    }
  }

  /// Adam's two moments of a parameter, in the same form; nil unless opened `withMoments`.
  package func moments(_ slot: ParameterSlot) -> (first: UnsafeRawBufferPointer, second: UnsafeRawBufferPointer)? {
    guard hasMoments, case .checkpoint(let reader) = source else { return nil }
    return reader.moments(slot)
  }
}
