import BERT4RecModel
import CKernels
import Masking
import Testing

/// Every backend that this machine can run, and the native one with every clone of the kernels.
struct TestBackend: CustomTestStringConvertible, Sendable {
  let testDescription: String
  let make: @Sendable () -> any Backend

  static let reference = TestBackend(testDescription: "reference") { ReferenceBackend() }
  static let openBLAS = TestBackend(testDescription: "openblas") { OpenBLASBackend() }
  static let native = clones.map { clone in
    TestBackend(testDescription: "native, \(clone.name)") { NativeBackend(kernels: clone.kernels) }
  }
  static let fast = native + [openBLAS]
  static let all = fast + [reference]

  struct Clone: @unchecked Sendable {
    let kernels: UnsafePointer<kernel_set>
    var name: String { String(cString: kernels.pointee.name) }
    /// Whether it has fused multiply-adds, and so the bits that all such clones have.
    var isExact: Bool { kernels.pointee.has_fma != 0 }
  }

  /// All clones of the kernels that this processor can run.
  static let clones: [Clone] = {
    var clones: [Clone] = []
    while let kernels = kernel_set_at(clones.count) { clones.append(Clone(kernels: kernels)) }
    return clones
  }()
}

/// Deterministic numbers in [-1, 1) for tests.
struct TestNumbers {
  private var stream: KeyedStream

  init(_ seed: UInt64) { stream = KeyedStream(seed: seed, .initialization, 77, 0) }

  mutating func next() -> Float { Float(stream.next()) / 2_147_483_648 - 1 }

  mutating func array(_ count: Int, scale: Float = 1) -> [Float] { (0..<count).map { _ in next() * scale } }

  mutating func keys(_ count: Int) -> [UInt64] {
    (0..<count).map { _ in UInt64(stream.next()) << 32 | UInt64(stream.next()) }
  }
}

/// Numbers in memory of their own, for views. Never freed: a view may outlive the buffer's last use.
final class Buffer {
  let base: UnsafeMutablePointer<Float>
  let count: Int

  init(_ values: [Float]) {
    base = .allocate(capacity: max(values.count, 1))
    base.initialize(from: values, count: values.count)
    count = values.count
  }

  convenience init(zeros count: Int) { self.init([Float](repeating: 0, count: count)) }

  var values: [Float] { Array(UnsafeBufferPointer(start: base, count: count)) }

  func matrix(_ rows: Int, _ columns: Int, stride: Int? = nil) -> Matrix { Matrix(base, rows, columns, stride: stride) }

  /// The first `columns` of each row of a padded matrix.
  func rows(_ rows: Int, _ columns: Int, stride: Int) -> [Float] {
    (0..<rows).flatMap { row in (0..<columns).map { base[row * stride + $0] } }
  }
}

/// max |a - b| relative to max |b|.
func relativeDistance(_ a: [Float], _ b: [Float]) -> Float {
  precondition(a.count == b.count)
  if zip(a, b).contains(where: { $0.isNaN || $1.isNaN }) { return .infinity }
  let scale = b.map(abs).max() ?? 0
  return (zip(a, b).map { abs($0 - $1) }.max() ?? 0) / max(scale, 1e-30)
}

/// An odd little model and a batch of several lengths, one of them 1.
enum Example {
  static func configuration(
    layers: Int = 2, hiddenDropout: Double = 0, attentionDropout: Double = 0, activation: Activation = .gelu
  ) -> ModelConfiguration {
    ModelConfiguration(
      vocabularySize: 531, hiddenSize: 21, layerCount: layers, headCount: 3, intermediateSize: 34,
      maximumSequenceLength: 19, hiddenDropout: hiddenDropout, attentionDropout: attentionDropout, activation: activation)
  }

  static func parameters(_ layout: ParameterLayout, seed: UInt64 = 1) -> [Float] {
    var numbers = TestNumbers(seed)
    return layout.slots.flatMap { slot in
      numbers.array(slot.count, scale: 0.3).map { slot.initialization == .ones ? 1 + $0 : $0 }
    }
  }

  static func batch() -> PackedBatch {
    var batch = PackedBatch()
    let lengths = [19, 1, 7, 2, 16, 18, 5]
    for (place, length) in lengths.enumerated() {
      for position in 0..<length {
        let token = Int32((place * 131 + position * 37) % 526 + 1)
        let isMasked = position % 4 == place % 4 || position == length - 1
        batch.append(token: isMasked ? 528 : token, label: isMasked ? token : nil)
      }
      batch.endInstance(place: place + 3)
    }
    return batch
  }
}
