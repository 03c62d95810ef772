import BERT4RecModel
import Checkpoints
import Communication
import SystemSupport
import TableSharding

/// What training changes: parameters, both moments, and the number of updates done. Flat buffers with one layout.
///
/// With a sharded table each rank has the addresses of the whole buffers, in which its own rows alone stand, and of the others' those that
/// it has fetched. `ModelState+Sharing` goes through such a state, and through one that is whole in the same way.
package final class ModelState: @unchecked Sendable {
  package let configuration: ModelConfiguration
  package let layout: ParameterLayout
  package let parameters: UnsafeMutableBufferPointer<Float>
  package let firstMoment: UnsafeMutableBufferPointer<Float>
  package let secondMoment: UnsafeMutableBufferPointer<Float>
  /// Updates done.
  package var step = 0
  /// Of these, steps whose numbers were not finite and that changed nothing.
  package var skippedSteps = 0
  private let memory: [AlignedMemory]
  /// What holds parameters that ranks of a host share.
  private let copy: HostCopy?
  /// The table's rows, where they belong to several ranks.
  package let table: ShardedTable?

  /// - Parameters:
  ///   - memory: of parameters and both moments.
  ///   - parameters: where they stand elsewhere.
  private init(
    _ configuration: ModelConfiguration, _ memory: [AlignedMemory], parameters: UnsafeMutableBufferPointer<Float>? = nil,
    copy: HostCopy? = nil, table: ShardedTable? = nil
  ) {
    self.configuration = configuration
    layout = ParameterLayout(configuration)
    self.memory = memory
    self.parameters = parameters ?? memory[0].elements(Float.self)
    firstMoment = memory[1].elements(Float.self)
    secondMoment = memory[2].elements(Float.self)
    (self.copy, self.table) = (copy, table)
  }

  /// All zeros; `initialize` or a checkpoint fills it. Without moments it can be scored with, not trained.
  package convenience init(_ configuration: ModelConfiguration, withMoments: Bool = true) throws(ProgramFailure) {
    let bytes = ParameterLayout(configuration).count * MemoryLayout<Float>.stride
    self.init(
      configuration,
      try Self.buffers { (buffer, purpose) throws(ProgramFailure) in
        try AlignedMemory(byteCount: withMoments || buffer == .parameters ? bytes : 0, for: purpose)
      })
  }

  /// A model to score with, whose parameters nobody writes any more.
  convenience init(_ configuration: ModelConfiguration, sharing copy: HostCopy) throws(ProgramFailure) {
    precondition(copy.bytes.count == ParameterLayout(configuration).count * MemoryLayout<Float>.stride)
    self.init(
      configuration, try Self.buffers { (_, purpose) throws(ProgramFailure) in try AlignedMemory(byteCount: 0, for: purpose) },
      parameters: UnsafeMutableRawBufferPointer(mutating: copy.bytes).bindMemory(to: Float.self), copy: copy)
  }

  /// All zeros, with a table whose rows belong to the communicator's ranks. Sends nothing.
  package convenience init(
    _ configuration: ModelConfiguration, shardedOver communicator: any Communicator, _ arrangement: RowOwnership.Arrangement = .dealt
  ) throws(ProgramFailure) {
    let layout = ParameterLayout(configuration)
    let memory = try Self.buffers { (_, purpose) throws(ProgramFailure) in
      try AlignedMemory(reserving: layout.count * MemoryLayout<Float>.stride, for: purpose)
    }
    self.init(configuration, memory, table: ShardedTable(memory, layout, configuration, communicator, arrangement))
  }

  private static func buffers(
    _ make: (_ buffer: StateBuffer, _ purpose: String) throws(ProgramFailure) -> AlignedMemory
  ) throws(ProgramFailure) -> [AlignedMemory] {
    [
      try make(.parameters, "the parameters"), try make(.firstMoment, "the first moments"), try make(.secondMoment, "the second moments"),
    ]
  }

  /// Bytes of its buffers, of a sharded table those of one of `ranks`, which has most.
  package static func byteCount(
    _ configuration: ModelConfiguration, withMoments: Bool, ranks: Int = 1, _ arrangement: RowOwnership.Arrangement = .dealt
  ) -> Double {
    let blockRows = RowOwnership(rowCount: configuration.vocabularySize, size: ranks, arrangement).blockRows
    let blocks = (configuration.vocabularySize + blockRows - 1) / blockRows
    let own = min(configuration.vocabularySize, (blocks + ranks - 1) / ranks * blockRows)
    let count = Double(ParameterLayout(configuration).besidesTable.count) + Double(own) * Double(configuration.hiddenSize + 1)
    return count * Double(MemoryLayout<Float>.stride * (withMoments ? 3 : 1))
  }

  /// - Parameter elements: of the parameters; nil: all.
  package func initialize(seed: UInt64, elements: Range<Int>? = nil) {
    layout.initialize(parameters.start, standardDeviation: configuration.initializerRange, seed: seed, elements: elements)
  }

  package func elements(_ buffer: StateBuffer) -> UnsafeMutableBufferPointer<Float> {
    switch buffer {
    case .parameters: parameters
    case .firstMoment: firstMoment
    case .secondMoment: secondMoment
    }
  }

  /// Becomes what `other`, of the same configuration and with moments, is. Both are whole.
  func copy(_ other: ModelState) {
    for (own, others) in [
      (parameters, other.parameters), (firstMoment, other.firstMoment), (secondMoment, other.secondMoment),
    ] { _ = own.update(fromContentsOf: others) }
    (step, skippedSteps) = (other.step, other.skippedSteps)
  }

  /// SHA-256 of the parameters as little-endian float32 in the order of the layout, which is the data section of
  /// model.safetensors.
  package var parameterHash: String { sha256Hex(UnsafeRawBufferPointer(parameters)) }
}

extension UnsafeMutableBufferPointer {
  /// The first element's place; the flat buffers of a model are never empty.
  var start: UnsafeMutablePointer<Element> {
    guard let baseAddress else { preconditionFailure("an empty buffer") }
    return baseAddress
  }
}
