import BERT4RecModel

/// What the original calls a parameter, and in which form its checkpoints have it.
struct TensorFlowParameter {
  static let step = "global_step"
  static let firstMoment = "/adam_m"
  static let secondMoment = "/adam_v"

  let name: String
  /// A dense layer's weight is (in, out) there, (out, in) here.
  let isTransposed: Bool
  /// There.
  let shape: [Int]

  /// Of one of `ParameterLayout`'s slots.
  init(_ slot: ParameterSlot) {
    var parts = slot.name.split(separator: ".").map(String.init)
    let kind = parts.removeLast()
    if let place = parts.firstIndex(of: "layer") {
      parts[place] += "_" + parts.remove(at: place + 1)
    }
    let owner = parts.last ?? ""
    switch (owner, kind) {
    case ("LayerNorm", "weight"): parts.append("gamma")
    case ("LayerNorm", _): parts.append("beta")
    // The output bias: it belongs to no dense layer.
    case ("predictions", _): parts.append("output_bias")
    case (_, "weight") where owner.hasSuffix("_embeddings"): break
    case (_, "weight"): parts.append("kernel")
    default: parts.append("bias")
    }
    name = parts.joined(separator: "/")
    isTransposed = parts.last == "kernel"
    shape = isTransposed ? slot.shape.reversed() : slot.shape
  }
}

/// A copy of a (rows, columns) matrix of float32 with rows and columns exchanged.
final class TransposedMatrix: @unchecked Sendable {
  let bytes: UnsafeRawBufferPointer

  /// `source` may stand at any address.
  init(_ source: UnsafeRawBufferPointer, rows: Int, columns: Int) {
    let copy = UnsafeMutableBufferPointer<Float>.allocate(capacity: rows * columns)
    for row in 0..<rows {
      for column in 0..<columns {
        copy.initializeElement(
          at: column * rows + row,
          to: source.loadUnaligned(fromByteOffset: (row * columns + column) * MemoryLayout<Float>.size, as: Float.self))
      }
    }
    bytes = UnsafeRawBufferPointer(copy)
  }

  deinit { bytes.deallocate() }
}
