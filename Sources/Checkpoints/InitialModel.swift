import BERT4RecModel
import InteractionData
import SystemSupport
import TensorFlowFiles

/// A model that another run begins from, found whole: one of this program's checkpoints, a Hugging Face folder with an items.tsv, or a
/// checkpoint of TensorFlow with a bert_config.json and an items.tsv beside it.
///
/// Its files are mapped, not read: they take no memory of the process beside the buffers that they are copied to. (Of TensorFlow's the
/// dense layers' weights are read, since they stand the other way round.)
package struct InitialModel: Sendable {
  private enum Source {
    case checkpoint(CheckpointReader)
    case folder(HuggingFaceFolder)
    case tensorFlow(TensorFlowModel)
  }

  private let source: Source
  private let hasMoments: Bool

  /// `path`: a checkpoint folder, a run folder (its best checkpoint that is whole, else its latest, as for evaluation), or a
  /// folder with config.json, model.safetensors and items.tsv, or the prefix of TensorFlow's files (such as out/model.ckpt-1000). `log` is
  /// told which of a run folder's checkpoints are damaged, and which of TensorFlow's tensors are not read.
  ///
  /// Exit code 66 where a file is not there or not readable, 65 where something is wrong with it, 64 where moments are
  /// wanted and it has none, or where a file of TensorFlow's is named and not the prefix.
  package static func open(_ path: String, withMoments: Bool, log: (String) -> Void) throws(ProgramFailure) -> InitialModel {
    if TensorFlowModel.isThere(path) {
      return InitialModel(source: .tensorFlow(try TensorFlowModel(path, withMoments: withMoments, log: log)), hasMoments: withMoments)
    }
    if let prefix = TensorBundle.prefix(ofFile: path) {
      throw ProgramFailure(
        .usage, "\(path) is one file of a TensorFlow checkpoint: give what their names begin with, \(prefix)")
    }
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

  /// The folder that was used, or the prefix.
  package var path: String {
    switch source {
    case .checkpoint(let reader): reader.path
    case .folder(let folder): folder.path
    case .tensorFlow(let model): model.path
    }
  }

  package var configuration: ModelConfiguration {
    switch source {
    case .checkpoint(let reader): reader.configuration
    case .folder(let folder): folder.configuration
    case .tensorFlow(let model): model.configuration
    }
  }

  /// External id of item `i` at index `i - 1`; none twice.
  package var itemIDs: ExternalIDs {
    switch source {
    case .checkpoint(let reader): reader.itemIDs
    case .folder(let folder): folder.itemIDs
    case .tensorFlow(let model): model.itemIDs
    }
  }

  /// Updates that it was trained by; nil where the folder does not say.
  package var step: Int? {
    switch source {
    case .checkpoint(let reader): reader.state.step
    case .folder: nil
    case .tensorFlow(let model): model.step
    }
  }

  /// A parameter as little-endian float32, row-major, perhaps not aligned. `slot` is one of its own layout's. The bytes live as
  /// long as this value.
  package func parameter(_ slot: ParameterSlot) -> UnsafeRawBufferPointer {
    switch source {
    case .checkpoint(let reader): reader.parameter(slot)
    case .folder(let folder): folder.parameter(slot)
    case .tensorFlow(let model): model.parameter(slot)
    }
  }

  /// Adam's two moments of a parameter, in the same form; nil unless opened `withMoments`.
  package func moments(_ slot: ParameterSlot) -> (first: UnsafeRawBufferPointer, second: UnsafeRawBufferPointer)? {
    guard hasMoments else { return nil }
    switch source {
    case .checkpoint(let reader): return reader.moments(slot)
    case .folder: return nil
    case .tensorFlow(let model): return model.moments(slot)
    }
  }
}
