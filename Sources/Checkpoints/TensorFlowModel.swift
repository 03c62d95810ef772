import BERT4RecModel
import InteractionData
import SystemSupport
import TensorFlowFiles

/// A checkpoint that the original, or `export --tensorflow`, has written, with two files beside it for what it does not hold:
/// bert_config.json (heads, activation) and items.tsv (which row is which item).
struct TensorFlowModel: @unchecked Sendable {
  static let modelConfiguration = "bert_config.json"

  /// Without `.index`.
  let path: String
  let configuration: ModelConfiguration
  /// External id of item `i` at index `i - 1`; none twice.
  let itemIDs: ExternalIDs
  /// `global_step`; nil where it is left out.
  let step: Int?

  /// What keeps the bytes that the lists point to, which nobody changes.
  private let bundle: TensorBundle
  private let transposed: [TransposedMatrix]
  private let parameters, firstMoments, secondMoments: [String: UnsafeRawBufferPointer]

  static func isThere(_ path: String) -> Bool { FileSystem.kind(TensorBundle.indexPath(path)) == .file }

  /// Opens a checkpoint by its prefix and checks all that is taken from it. `log` is told which of its tensors are not.
  ///
  /// Exit code 66 where a file is not there or not readable, 65 where something is wrong with it, 64 where moments are wanted and it
  /// has none.
  init(_ prefix: String, withMoments: Bool, log: (String) -> Void) throws(ProgramFailure) {
    let bundle = try TensorBundle(prefix)
    let folder = FileSystem.parent(of: prefix)
    configuration = try Self.readConfiguration(folder + "/" + Self.modelConfiguration, prefix)
    itemIDs = try Self.readItems(folder + "/" + CheckpointName.items, prefix)
    guard configuration.vocabularySize == TokenIDs(itemCount: itemIDs.count).vocabularySize else {
      throw ProgramFailure(
        .badData,
        "\(folder): \(CheckpointName.items) has \(itemIDs.count) items, which does not go with \"vocab_size\" "
          + "\(configuration.vocabularySize) in \(Self.modelConfiguration): it is items + 4")
    }
    if let tensor = bundle[TensorFlowParameter.step] {
      let bytes = try bundle.bytes(tensor, as: .int64)
      guard tensor.shape.isEmpty, case let number = Int64(littleEndian: bytes.loadUnaligned(as: Int64.self)), number >= 0 else {
        throw ProgramFailure(.badData, "\(TensorBundle.indexPath(prefix)): \"\(tensor.name)\" is no number of steps")
      }
      step = Int(number)
    } else {
      step = nil
    }
    let layout = ParameterLayout(configuration)
    if withMoments, !layout.slots.contains(where: { bundle[TensorFlowParameter($0).name + TensorFlowParameter.firstMoment] != nil }) {
      throw ProgramFailure(
        .usage,
        "\(prefix) has no \(TensorFlowParameter.firstMoment), so there are no moments to keep: leave out --keep-moments (init_moments), "
          + "and they start at zero.")
    }
    var copies: [TransposedMatrix] = []
    /// Of one kind, by our names.
    func read(_ suffix: String) throws(ProgramFailure) -> [String: UnsafeRawBufferPointer] {
      var result: [String: UnsafeRawBufferPointer] = [:]
      for slot in layout.slots {
        let parameter = TensorFlowParameter(slot)
        let bytes = try Self.bytes(parameter.name + suffix, parameter.shape, bundle)
        guard parameter.isTransposed else {
          result[slot.name] = bytes
          continue
        }
        let copy = TransposedMatrix(bytes, rows: parameter.shape[0], columns: parameter.shape[1])
        copies.append(copy)
        result[slot.name] = copy.bytes
      }
      return result
    }
    parameters = try read("")
    firstMoments = withMoments ? try read(TensorFlowParameter.firstMoment) : [:]
    let squares = withMoments ? try read(TensorFlowParameter.secondMoment) : [:]
    if let slot = layout.slots.first(where: { squares[$0.name]?.hasNegative == true }) {
      throw ProgramFailure(
        .badData,
        "\(TensorBundle.indexPath(prefix)): tensor \"\(TensorFlowParameter(slot).name)\(TensorFlowParameter.secondMoment)\", a mean of "
          + "squares, has negative numbers")
    }
    secondMoments = squares
    transposed = copies
    self.bundle = bundle
    path = prefix
    try Self.explainRest(bundle, layout, log)
  }

  /// A parameter as little-endian float32, row-major, perhaps not aligned.
  func parameter(_ slot: ParameterSlot) -> UnsafeRawBufferPointer { Self.found(slot, parameters) }

  func moments(_ slot: ParameterSlot) -> (first: UnsafeRawBufferPointer, second: UnsafeRawBufferPointer) {
    (Self.found(slot, firstMoments), Self.found(slot, secondMoments))
  }

  private static func found(_ slot: ParameterSlot, _ tensors: [String: UnsafeRawBufferPointer]) -> UnsafeRawBufferPointer {
    guard let bytes = tensors[slot.name] else { preconditionFailure("\(slot.name) was there when the file was checked") }
    return bytes
  }

  // MARK: Checks

  private static func readConfiguration(_ path: String, _ prefix: String) throws(ProgramFailure) -> ModelConfiguration {
    guard FileSystem.kind(path) != nil else {
      throw ProgramFailure(
        .unreadable,
        "\(prefix) has no \(modelConfiguration) beside it: a checkpoint of TensorFlow does not hold how many heads and which activation "
          + "the model has. Copy the file that was given to --bert_config_file there, under this name.")
    }
    let file = try MappedFile(CheckpointReader.regularFile(path))
    let json: JSON
    do throws(JSONError) { json = try JSON.parse(file.bytes) } catch { throw ProgramFailure(.badData, "\(path): \(error)") }
    return try ModelConfiguration(originalJSON: json, path: path)
  }

  private static func readItems(_ path: String, _ prefix: String) throws(ProgramFailure) -> ExternalIDs {
    guard FileSystem.kind(path) != nil else {
      throw ProgramFailure(
        .unreadable,
        "\(prefix) has no \(CheckpointName.items) beside it: nothing says which row of its embeddings is which item, and a guess by their "
          + "order would mix items up. Put one there: the header id, external_id, count, and a line per item, with tabs; "
          + "docs/original-files.md shows how to make it of the original's .vocab file.")
    }
    let file = try MappedFile(CheckpointReader.regularFile(path))
    return try ItemTable.decode(file.bytes, path: path).ids
  }

  private static func bytes(_ name: String, _ shape: [Int], _ bundle: TensorBundle) throws(ProgramFailure) -> UnsafeRawBufferPointer {
    let path = TensorBundle.indexPath(bundle.prefix)
    guard let tensor = bundle[name] else {
      throw ProgramFailure(.badData, "\(path): no tensor \"\(name)\", which a model of \(modelConfiguration) has")
    }
    guard tensor.shape == shape else {
      throw ProgramFailure(
        .badData, "\(path): tensor \"\(name)\" has the shape \(tensor.shape), \(modelConfiguration) asks for \(shape)")
    }
    let bytes = try bundle.bytes(tensor, as: .float)
    guard bytes.isFinite else { throw ProgramFailure(.badData, "\(path): tensor \"\(name)\" has numbers that are not finite") }
    return bytes
  }

  /// Refuses parts of a model that this program's model would lack, and tells of whatever else is not read.
  private static func explainRest(_ bundle: TensorBundle, _ layout: ParameterLayout, _ log: (String) -> Void) throws(ProgramFailure) {
    let names = layout.slots.map { TensorFlowParameter($0).name }
    let suffixes = ["", TensorFlowParameter.firstMoment, TensorFlowParameter.secondMoment]
    let known = Set(names.flatMap { name in suffixes.map { name + $0 } } + [TensorFlowParameter.step])
    let rest = bundle.tensors.map(\.name).filter { !known.contains($0) }
    if let part = rest.first(where: { name in
      ["bert/", "cls/"].contains { name.hasPrefix($0) }
        && ![TensorFlowParameter.firstMoment, TensorFlowParameter.secondMoment].contains { name.hasSuffix($0) }
    }) {
      throw ProgramFailure(.badData, "\(TensorBundle.indexPath(bundle.prefix)): tensor \"\(part)\" is no part of this program's model")
    }
    if !rest.isEmpty {
      let shown = rest.prefix(5).joined(separator: ", ") + (rest.count > 5 ? " and \(rest.count - 5) more" : "")
      log("\(bundle.prefix): not read, since no part of the model: \(shown)")
    }
  }
}

extension UnsafeRawBufferPointer {
  /// Whether all of these float32 are finite.
  var isFinite: Bool {
    stride(from: 0, to: count, by: MemoryLayout<Float>.stride).allSatisfy {
      loadUnaligned(fromByteOffset: $0, as: Float.self).isFinite
    }
  }

  /// Whether any of these float32 is below zero.
  fileprivate var hasNegative: Bool {
    stride(from: 0, to: count, by: MemoryLayout<Float>.stride).contains { loadUnaligned(fromByteOffset: $0, as: Float.self) < 0 }
  }
}
