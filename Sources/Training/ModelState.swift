import BERT4RecModel
import SystemSupport

/// What training changes: parameters, both moments, and the number of updates done. Flat buffers with one layout.
public final class ModelState: @unchecked Sendable {
  public let configuration: ModelConfiguration
  public let layout: ParameterLayout
  public let parameters: UnsafeMutableBufferPointer<Float>
  package let firstMoment: UnsafeMutableBufferPointer<Float>
  package let secondMoment: UnsafeMutableBufferPointer<Float>
  /// Updates done.
  public package(set) var step = 0
  /// Of these, steps whose numbers were not finite and that changed nothing.
  public package(set) var skippedSteps = 0

  /// All zeros; `initialize` or a checkpoint fills it. Without moments it can be scored with, not trained.
  public init(_ configuration: ModelConfiguration, withMoments: Bool = true) {
    self.configuration = configuration
    layout = ParameterLayout(configuration)
    parameters = Self.allocate(layout.count)
    firstMoment = Self.allocate(withMoments ? layout.count : 0)
    secondMoment = Self.allocate(withMoments ? layout.count : 0)
  }

  private static func allocate(_ count: Int) -> UnsafeMutableBufferPointer<Float> {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: max(count, 1) * MemoryLayout<Float>.stride, alignment: 64)
    let buffer = UnsafeMutableBufferPointer(start: memory.bindMemory(to: Float.self, capacity: max(count, 1)), count: count)
    buffer.initialize(repeating: 0)
    return buffer
  }

  deinit {
    for buffer in [parameters, firstMoment, secondMoment] {
      if let base = buffer.baseAddress { UnsafeMutableRawPointer(base).deallocate() }
    }
  }

  public func initialize(seed: UInt64) {
    layout.initialize(parameters.start, standardDeviation: configuration.initializerRange, seed: seed)
  }

  /// SHA-256 of the parameters as little-endian float32 in the order of the layout, which is the data section of
  /// model.safetensors.
  public var parameterHash: String { sha256Hex(UnsafeRawBufferPointer(parameters)) }
}

extension UnsafeMutableBufferPointer {
  /// The first element's place; the flat buffers of a model are never empty.
  var start: UnsafeMutablePointer<Element> {
    guard let baseAddress else { preconditionFailure("an empty buffer") }
    return baseAddress
  }
}
