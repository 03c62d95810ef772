import BERT4RecModel
import InteractionData
import SystemSupport

/// A checkpoint that was found whole: every file has its size and checksum, and the tensors are those of the
/// configuration.
package struct CheckpointReader: Sendable {
  package let path: String
  package let configuration: ModelConfiguration
  package let layout: ParameterLayout
  /// External id and occurrences of item `i` at index `i - 1`.
  package let itemIDs: ExternalIDs
  package let itemCounts: [Int64]
  package let state: TrainerState

  private let model: SafeTensors
  private let optimizer: SafeTensors?

  /// Opens a checkpoint folder and verifies all of it; optimizer.safetensors only `withMoments`.
  ///
  /// Exit code 66 where a file is not there or not readable, 65 where something is wrong with it.
  package static func open(_ path: String, withMoments: Bool = false) throws(ProgramFailure) -> CheckpointReader {
    try CheckpointReader(path, withMoments: withMoments)
  }

  private init(_ path: String, withMoments: Bool) throws(ProgramFailure) {
    guard FileSystem.kind(path) == .directory else { throw ProgramFailure(.unreadable, "\(path): no such folder") }
    let state = try TrainerState.read(path)

    let configurationPath = path + "/" + CheckpointName.modelConfiguration
    let configurationFile = try MappedFile(Self.regularFile(configurationPath))
    try Self.verify(
      configurationFile.bytes.count, sha256Hex(configurationFile.bytes), CheckpointName.modelConfiguration, path, state)
    let json: JSON
    do throws(JSONError) { json = try JSON.parse(configurationFile.bytes) } catch {
      throw ProgramFailure(.badData, "\(configurationPath): \(error)")
    }
    let configuration = try ModelConfiguration(huggingFaceJSON: json, path: configurationPath)

    let itemsPath = path + "/" + CheckpointName.items
    let itemsFile = try MappedFile(Self.regularFile(itemsPath))
    try Self.verify(itemsFile.bytes.count, sha256Hex(itemsFile.bytes), CheckpointName.items, path, state)
    let (itemIDs, itemCounts) = try ItemTable.decode(itemsFile.bytes, path: itemsPath)
    try Self.requireVocabulary(configuration, json, itemCount: itemIDs.count, path)

    let layout = ParameterLayout(configuration)
    model = try Self.openTensors(
      CheckpointName.model, path, state, tensors: layout.slots.map { ($0.name, $0.shape) })
    optimizer =
      withMoments ? try Self.openTensors(CheckpointName.optimizer, path, state, tensors: layout.momentTensors) : nil
    self.path = path
    self.configuration = configuration
    self.layout = layout
    self.itemIDs = itemIDs
    self.itemCounts = itemCounts
    self.state = state
  }

  /// Bytes of all parameters, `layout.count` of them.
  package var parameterByteCount: Int { model.data.count }

  /// Copies all parameters as little-endian float32 in the order of the layout.
  package func copyParameters(into bytes: UnsafeMutableRawBufferPointer) {
    precondition(bytes.count == parameterByteCount, "the buffer does not have the layout's size")
    if let base = bytes.baseAddress { model.copy(0..<bytes.count, to: base) }
  }

  package func copyParameters(into buffer: UnsafeMutableBufferPointer<Float>) {
    copyParameters(into: UnsafeMutableRawBufferPointer(buffer))
  }

  /// Copies both of Adam's moments. The checkpoint must have been opened `withMoments`.
  package func copyMoments(
    first: UnsafeMutableBufferPointer<Float>, second: UnsafeMutableBufferPointer<Float>
  ) {
    copy(.firstMoment, 0..<layout.count, to: first)
    copy(.secondMoment, 0..<layout.count, to: second)
  }

  /// Copies some elements of a buffer to their places in `target`. Moments need a checkpoint that was opened `withMoments`.
  package func copy(_ buffer: StateBuffer, _ elements: Range<Int>, to target: UnsafeMutableBufferPointer<Float>) {
    precondition(target.count == layout.count, "the buffer does not have the layout's size")
    let size = MemoryLayout<Float>.stride
    var (file, start) = (model, 0)
    if buffer != .parameters {
      guard let optimizer else { preconditionFailure("the checkpoint was opened without its moments") }
      file = optimizer
      if buffer == .secondMoment { start = layout.count * size }
    }
    guard let base = target.baseAddress else { return }
    file.copy((start + elements.lowerBound * size)..<(start + elements.upperBound * size), to: base + elements.lowerBound)
  }

  /// A parameter as little-endian float32, row-major. The bytes live as long as this value.
  func parameter(_ slot: ParameterSlot) -> UnsafeRawBufferPointer { Self.bytes(slot, of: model.data) }

  /// Adam's two moments of a parameter, in the same form. The checkpoint must have been opened `withMoments`.
  func moments(_ slot: ParameterSlot) -> (first: UnsafeRawBufferPointer, second: UnsafeRawBufferPointer) {
    guard let optimizer else { preconditionFailure("the checkpoint was opened without its moments") }
    let half = optimizer.data.count / 2
    return (
      Self.bytes(slot, of: UnsafeRawBufferPointer(rebasing: optimizer.data[..<half])),
      Self.bytes(slot, of: UnsafeRawBufferPointer(rebasing: optimizer.data[half...]))
    )
  }

  private static func bytes(_ slot: ParameterSlot, of buffer: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    let size = MemoryLayout<Float>.stride
    return UnsafeRawBufferPointer(rebasing: buffer[(slot.range.lowerBound * size)..<(slot.range.upperBound * size)])
  }

  // MARK: Checks

  /// Refuses a vocabulary that is not the items of items.tsv and the four other tokens.
  static func requireVocabulary(
    _ configuration: ModelConfiguration, _ json: JSON, itemCount: Int, _ path: String
  ) throws(ProgramFailure) {
    let tokens = TokenIDs(itemCount: itemCount)
    guard configuration.vocabularySize == tokens.vocabularySize, json["mask_token_id"]?.int == Int(tokens.mask) else {
      throw ProgramFailure(
        .badData,
        "\(path): \(CheckpointName.items) has \(itemCount) items, which does not go with vocab_size "
          + "\(configuration.vocabularySize) and mask_token_id in \(CheckpointName.modelConfiguration)")
    }
  }

  static func regularFile(_ path: String) throws(ProgramFailure) -> String {
    switch FileSystem.kind(path) {
    case .file: return path
    case nil: throw ProgramFailure(.unreadable, "\(path) is not there: the checkpoint is incomplete")
    case .directory, .other: throw ProgramFailure(.unreadable, "\(path) is not a file")
    }
  }

  private static func verify(
    _ byteCount: Int, _ digest: String, _ name: String, _ path: String, _ state: TrainerState
  ) throws(ProgramFailure) {
    guard let record = state.files[name] else {
      throw ProgramFailure(.badData, "\(path)/\(CheckpointName.trainer) says nothing about \(name)")
    }
    guard byteCount == record.bytes else {
      throw ProgramFailure(.badData, "\(path)/\(name) is damaged: \(byteCount) bytes, \(record.bytes) were written")
    }
    guard digest == record.sha256 else {
      throw ProgramFailure(.badData, "\(path)/\(name) is damaged: its checksum is not the one in \(CheckpointName.trainer)")
    }
  }

  /// Opens a file of float tensors that must be just these, in this order.
  private static func openTensors(
    _ name: String, _ path: String, _ state: TrainerState, tensors: [(name: String, shape: [Int])]
  ) throws(ProgramFailure) -> SafeTensors {
    let file = try SafeTensors(regularFile(path + "/" + name))
    let isModel = name == CheckpointName.model
    let digests = try file.digests(ofData: isModel)
    try verify(file.fileSize, digests.file, name, path, state)
    guard file.tensors.count == tensors.count else {
      throw ProgramFailure(
        .badData, "\(file.path) has \(file.tensors.count) tensors, the configuration asks for \(tensors.count)")
    }
    for (found, wanted) in zip(file.tensors, tensors) {
      guard found.name == wanted.name, found.shape == wanted.shape, found.type == "F32" else {
        throw ProgramFailure(
          .badData,
          "\(file.path): found tensor \"\(found.name)\", \(found.type) \(found.shape), where the configuration "
            + "asks for \"\(wanted.name)\", F32 \(wanted.shape)")
      }
    }
    guard !isModel || digests.data == state.parameterHash else {
      throw ProgramFailure(.badData, "\(path): the parameters do not have the parameter_hash of \(CheckpointName.trainer)")
    }
    return file
  }
}
