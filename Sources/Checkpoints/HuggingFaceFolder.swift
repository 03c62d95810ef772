import BERT4RecModel
import InteractionData
import SystemSupport

/// A `BertForMaskedLM` that another program has saved (config.json, model.safetensors), with the items.tsv that says which row is
/// which item. Unlike a checkpoint it has no checksums, so shapes, types and numbers are all that can be checked.
struct HuggingFaceFolder: Sendable {
  let path: String
  let configuration: ModelConfiguration
  /// External id of item `i` at index `i - 1`; none twice.
  let itemIDs: ExternalIDs
  private let model: SafeTensors

  /// Exit code 66 where a file is not there or not readable, 65 where something is wrong with it.
  init(_ path: String) throws(ProgramFailure) {
    let configurationPath = path + "/" + CheckpointName.modelConfiguration
    let configurationFile = try MappedFile(CheckpointReader.regularFile(configurationPath))
    let json: JSON
    do throws(JSONError) { json = try JSON.parse(configurationFile.bytes) } catch {
      throw ProgramFailure(.badData, "\(configurationPath): \(error)")
    }
    configuration = try ModelConfiguration(huggingFaceJSON: json, path: configurationPath)
    // A model with these would compute something else from the same parameters.
    if let epsilon = json["layer_norm_eps"], epsilon.double.map(Float.init) != ModelConfiguration.layerNormEpsilon {
      throw ProgramFailure(
        .badData, "\(configurationPath): \"layer_norm_eps\" is \(epsilon.line), this program has \(ModelConfiguration.layerNormEpsilon)")
    }
    if json["is_decoder"] == .bool(true) {
      throw ProgramFailure(.badData, "\(configurationPath): \"is_decoder\" is true, this program's attention looks to both sides")
    }

    let itemsPath = path + "/" + CheckpointName.items
    guard FileSystem.kind(itemsPath) != nil else {
      throw ProgramFailure(
        .unreadable,
        "\(path) has no \(CheckpointName.items): nothing says which row of its embeddings is which item, and a guess by their order would "
          + "mix items up. Put one beside \(CheckpointName.model): the header id, external_id, count, and a line per item, with tabs.")
    }
    let itemsFile = try MappedFile(CheckpointReader.regularFile(itemsPath))
    itemIDs = try ItemTable.decode(itemsFile.bytes, path: itemsPath).ids
    try CheckpointReader.requireVocabulary(configuration, json, itemCount: itemIDs.count, path)
    model = try Self.openTensors(path + "/" + CheckpointName.model, ParameterLayout(configuration))
    self.path = path
  }

  /// A parameter as little-endian float32, row-major, perhaps not aligned.
  func parameter(_ slot: ParameterSlot) -> UnsafeRawBufferPointer { Self.bytes(slot.name, model) }

  private static func bytes(_ name: String, _ model: SafeTensors) -> UnsafeRawBufferPointer {
    guard let tensor = model[name] else { preconditionFailure("\(name) was there when the file was checked") }
    return UnsafeRawBufferPointer(rebasing: model.data[tensor.range])
  }

  // MARK: Checks

  /// Tensors that some programs save although they are others, or follow from nothing: by what they must equal.
  private static let copies: [String: String?] = [
    "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
    "cls.predictions.decoder.bias": "cls.predictions.bias",
    "bert.embeddings.position_ids": nil,
  ]

  /// Opens a file that must have all of a layout's tensors, in any order, and nothing that the model would lack.
  private static func openTensors(_ path: String, _ layout: ParameterLayout) throws(ProgramFailure) -> SafeTensors {
    let file = try SafeTensors(CheckpointReader.regularFile(path))
    let wanted = Dictionary(uniqueKeysWithValues: layout.slots.map { ($0.name, $0) })
    for slot in layout.slots {
      guard let tensor = file[slot.name] else {
        throw ProgramFailure(.badData, "\(path): no tensor \"\(slot.name)\", which a BertForMaskedLM of this config.json has")
      }
      guard tensor.type == "F32", tensor.shape == slot.shape else {
        throw ProgramFailure(
          .badData, "\(path): tensor \"\(slot.name)\" is \(tensor.type) \(tensor.shape), the configuration asks for F32 \(slot.shape)")
      }
      guard bytes(slot.name, file).isFinite else {
        throw ProgramFailure(.badData, "\(path): tensor \"\(slot.name)\" has numbers that are not finite")
      }
    }
    for tensor in file.tensors where wanted[tensor.name] == nil {
      guard let copied = copies[tensor.name] else {
        throw ProgramFailure(.badData, "\(path): tensor \"\(tensor.name)\" is no part of this program's model")
      }
      guard let original = copied else { continue }
      guard bytes(tensor.name, file).elementsEqual(bytes(original, file)) else {
        throw ProgramFailure(
          .badData, "\(path): \"\(tensor.name)\" is not the same as \"\(original)\": this program has one table for both")
      }
    }
    return file
  }
}
