import BERT4RecModel
import CKernels

/// Adam with decoupled weight decay as the original has it: no bias correction, epsilon outside the root, decay 0.01 on all but
/// biases and LayerNorms (which includes the embedding tables), after clipping to a global norm of 5.
///
///     m = 0.9 m + 0.1 g,  v = 0.999 v + 0.001 g²,  p -= rate (m / (√v + 1e-6) + decay p)
///
/// Every rank updates its own replica; the kernels give the same bits on every processor, and the work is cut into fixed blocks, so
/// that the number of threads changes nothing. An update also sums the bits of all that it reads and writes, which costs next to
/// nothing where the numbers are at hand: from these sums it is known whether memory still holds what the update before had left
/// there, and whether all replicas are the same.
package struct Adam {
  package static let clipNorm = 5.0
  package static let weightDecay: Float = 0.01
  private static let block = 1 << 16

  private let layout: ParameterLayout
  private let kernels = kernel_set_best()
  /// Ranges of the flat buffer, each wholly decayed or not, none longer than a block.
  private let blocks: [(range: Range<Int>, decays: Bool)]
  private let squares: UnsafeMutableBufferPointer<Double>
  private let bits: UnsafeMutableBufferPointer<kernel_bit_sums>
  private let storage: BlockSums
  private var settings = kernel_adam()

  package init(_ layout: ParameterLayout) {
    self.layout = layout
    var runs: [(range: Range<Int>, decays: Bool)] = []
    for slot in layout.slots {
      if let last = runs.last, last.decays == slot.decays {
        runs[runs.count - 1].range = last.range.lowerBound..<slot.range.upperBound
      } else {
        runs.append((slot.range, slot.decays))
      }
    }
    blocks = runs.flatMap { run in
      stride(from: run.range.lowerBound, to: run.range.upperBound, by: Self.block).map {
        ($0..<min($0 + Self.block, run.range.upperBound), run.decays)
      }
    }
    storage = BlockSums(count: blocks.count)
    squares = storage.squares
    bits = storage.bits
  }

  /// A thread's share of the sums of squares.
  package func addSquares(_ gradients: UnsafePointer<Float>, thread: Int = 0, of threads: Int = 1) {
    for index in stride(from: thread, to: blocks.count, by: threads) {
      let range = blocks[index].range
      squares[index] = kernels.pointee.sum_of_squares(gradients + range.lowerBound, range.count)
    }
  }

  /// The global norm of the gradient of the mean loss, once all squares are there; added in the order of the blocks.
  package func norm(maskedCount: Int) -> Double { squares.reduce(0, +).squareRoot() / Double(maskedCount) }

  /// Settles an update. The summed gradients are divided by the number of masked items by the update, once.
  package mutating func begin(rate: Double, norm: Double, maskedCount: Int) {
    let clip = Self.clipNorm / max(norm, Self.clipNorm)
    settings = kernel_adam(
      learning_rate: Float(rate), beta1: 0.9, beta2: 0.999, gradient_weight1: 0.1, gradient_weight2: 0.001, epsilon: 1e-6,
      weight_decay: Self.weightDecay, gradient_scale: Float(clip / Double(maskedCount)))
  }

  /// A thread's share of the update.
  package func update(
    _ state: ModelState, gradients: UnsafePointer<Float>, thread: Int = 0, of threads: Int = 1
  ) {
    var settings = settings
    for index in stride(from: thread, to: blocks.count, by: threads) {
      let (range, decays) = blocks[index]
      let start = range.lowerBound
      settings.weight_decay = decays ? Self.weightDecay : 0
      bits[index] = kernels.pointee.adam_update(
        settings, state.parameters.start + start, gradients + start, state.firstMoment.start + start,
        state.secondMoment.start + start, range.count)
    }
  }

  /// Of the whole state, as the last update found it and as it left it.
  package var bitSums: (before: UInt64, after: UInt64) {
    bits.reduce((before: 0, after: 0)) { ($0.before &+ $1.before, $0.after &+ $1.after) }
  }

  /// Of the whole state as it is in memory now.
  package func bitSum(of state: ModelState) -> UInt64 {
    blocks.reduce(0) { sum, block in
      let start = block.range.lowerBound
      return sum
        &+ kernels.pointee.bit_sum(
          state.parameters.start + start, state.firstMoment.start + start, state.secondMoment.start + start, block.range.count)
    }
  }
}

/// What is summed per block.
private final class BlockSums {
  let squares: UnsafeMutableBufferPointer<Double>
  let bits: UnsafeMutableBufferPointer<kernel_bit_sums>

  init(count: Int) {
    squares = .allocate(capacity: count)
    squares.initialize(repeating: 0)
    bits = .allocate(capacity: count)
    bits.initialize(repeating: kernel_bit_sums())
  }

  deinit {
    squares.deallocate()
    bits.deallocate()
  }
}
