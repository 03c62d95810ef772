import BERT4RecModel
import SystemSupport

/// What training changes: parameters, both moments, and the number of updates done. Flat buffers with one layout.
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

  /// All zeros; `initialize` or a checkpoint fills it. Without moments it can be scored with, not trained.
  package init(_ configuration: ModelConfiguration, withMoments: Bool = true) throws(ProgramFailure) {
    self.configuration = configuration
    layout = ParameterLayout(configuration)
    let bytes = layout.count * MemoryLayout<Float>.stride
    let (first, second) = withMoments ? (bytes, bytes) : (0, 0)
    memory = [
      try AlignedMemory(byteCount: bytes, for: "the parameters"),
      try AlignedMemory(byteCount: first, for: "the first moments"),
      try AlignedMemory(byteCount: second, for: "the second moments"),
    ]
    parameters = memory[0].elements(Float.self)
    firstMoment = memory[1].elements(Float.self)
    secondMoment = memory[2].elements(Float.self)
  }

  /// Bytes of its buffers.
  package static func byteCount(_ configuration: ModelConfiguration, withMoments: Bool) -> Int {
    ParameterLayout(configuration).count * MemoryLayout<Float>.stride * (withMoments ? 3 : 1)
  }

  package func initialize(seed: UInt64) {
    layout.initialize(parameters.start, standardDeviation: configuration.initializerRange, seed: seed)
  }

  /// Becomes what `other`, of the same configuration and with moments, is.
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
