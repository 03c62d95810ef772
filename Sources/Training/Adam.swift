import BERT4RecModel
import CKernels
import GradientSum
import SystemSupport

/// Adam with decoupled weight decay as the original has it: no bias correction, epsilon outside the root, decay 0.01 on all but
/// biases and LayerNorms (which includes the embedding tables), after clipping to a global norm of 5.
///
///     m = 0.9 m + 0.1 g,  v = 0.999 v + 0.001 g²,  p -= rate (m / (√v + 1e-6) + decay p)
///
/// Every rank updates its own replica; the kernels give the same bits on every processor, and the work is cut into fixed blocks, so
/// that the number of threads changes nothing. An update also sums the bits of all that it reads and writes, which costs next to
/// nothing where the numbers are at hand: from these sums it is known whether memory still holds what the update before had left
/// there, and whether all replicas are the same.
///
/// With `tableAdam: lazy` the rows of the table, and their biases, that a step does not touch stay as they are, moments and all.
package struct Adam {
  package static let clipNorm = 5.0
  package static let weightDecay: Float = 0.01
  private static let block = 1 << 16

  private let layout: ParameterLayout
  private let isLazy: Bool
  private let kernels = kernel_set_best()
  /// Ranges of the flat buffer, each wholly decayed or not, none longer than a block.
  private let blocks: [(range: Range<Int>, decays: Bool)]
  private let squares: UnsafeMutableBufferPointer<Double>
  private let bits: UnsafeMutableBufferPointer<kernel_bit_sums>
  private let storage: BlockSums
  private var settings = kernel_adam()

  /// - Parameters:
  ///   - table: `lazy` needs gradients with rows.
  ///   - threads: that will share the work.
  package init(_ layout: ParameterLayout, table: TableAdam = .exact, threads: Int = 1) {
    self.layout = layout
    isLazy = table == .lazy
    var runs: [(range: Range<Int>, decays: Bool)] = []
    for slot in layout.slots where table == .exact || layout.besidesTable.contains(slot.offset) {
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
    storage = BlockSums(count: blocks.count, threads: threads, scratch: threads * Self.block)
    squares = storage.squares
    bits = storage.bits
  }

  /// A thread's share of the sums of squares.
  package func addSquares(_ gradients: UnsafePointer<Float>, thread: Int = 0, of threads: Int = 1) {
    addSquares(SummedGradient(gradients, layout), thread: thread, of: threads)
  }

  package func addSquares(_ gradient: SummedGradient, thread: Int, of threads: Int) {
    for index in stride(from: thread, to: blocks.count, by: threads) {
      let range = blocks[index].range
      let values = gradient.elements(range, scratch: storage.scratch(thread, Self.block))
      squares[index] = values.map { kernels.pointee.sum_of_squares($0, range.count) } ?? 0
    }
    guard isLazy, thread == 0 else { return }
    storage.rowSquares = 0
    let rows = touched(gradient)
    for index in 0..<rows.count { storage.rowSquares += kernels.pointee.sum_of_squares(rows.values + index * rows.width, rows.width) }
  }

  private func touched(_ gradient: SummedGradient) -> RowList {
    guard let rows = gradient.rows else { preconditionFailure("a lazy update is one of rows") }
    return rows
  }

  /// The global norm of the gradient of the mean loss, once all squares are there; added in the order of the blocks.
  package func norm(maskedCount: Int) -> Double {
    (squares.reduce(0, +) + storage.rowSquares).squareRoot() / Double(maskedCount)
  }

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
    update(state, SummedGradient(gradients, layout), thread: thread, of: threads)
  }

  package func update(_ state: ModelState, _ gradient: SummedGradient, thread: Int, of threads: Int) {
    var settings = settings
    for index in stride(from: thread, to: blocks.count, by: threads) {
      let (range, decays) = blocks[index]
      let start = range.lowerBound
      let scratch = storage.scratch(thread, Self.block)
      let values = gradient.elements(range, scratch: scratch) ?? UnsafePointer(scratch)
      settings.weight_decay = decays ? Self.weightDecay : 0
      bits[index] = kernels.pointee.adam_update(
        settings, state.parameters.start + start, values, state.firstMoment.start + start,
        state.secondMoment.start + start, range.count)
    }
    if isLazy { updateRows(state, touched(gradient), thread: thread, of: threads) }
  }

  private func updateRows(_ state: ModelState, _ rows: RowList, thread: Int, of threads: Int) {
    var sums = kernel_bit_sums()
    var settings = settings
    func update(_ range: Range<Int>, _ gradient: UnsafePointer<Float>) {
      let part = kernels.pointee.adam_update(
        settings, state.parameters.start + range.lowerBound, gradient, state.firstMoment.start + range.lowerBound,
        state.secondMoment.start + range.lowerBound, range.count)
      sums.before &+= part.before
      sums.after &+= part.after
    }
    for index in ShardTree.range(part: thread, of: threads, in: 0..<rows.count) {
      let gradient = rows.values + index * rows.width
      let (words, bias) = parts(ofRow: Int(rows.ids[index]))
      settings.weight_decay = Self.weightDecay
      update(words, gradient)
      settings.weight_decay = 0
      update(bias, gradient + words.count)
    }
    storage.rowBits[thread] = sums
  }

  /// A row and its bias in the flat buffers.
  private func parts(ofRow row: Int) -> (words: Range<Int>, bias: Range<Int>) {
    let hidden = layout.besidesTable.lowerBound / vocabularySize
    let bias = layout.predictionBias + row
    return (row * hidden..<(row + 1) * hidden, bias..<bias + 1)
  }

  private var vocabularySize: Int { layout.count - layout.predictionBias }

  /// Of all that an update goes through whole, as the last one found it and as it left it: of the whole state where it is not lazy.
  package var bitSums: (before: UInt64, after: UInt64) {
    bits.reduce((before: 0, after: 0)) { ($0.before &+ $1.before, $0.after &+ $1.after) }
  }

  /// How much a lazy update has changed the bit sum of the rows; 0 otherwise.
  package var rowBitChange: UInt64 { storage.rowBits.reduce(0) { $0 &+ $1.after &- $1.before } }

  /// Of the rows that a lazy update touches, and all others of the table; 0 where it is not lazy.
  package func rowBitSum(of state: ModelState) -> UInt64 {
    if !isLazy { return 0 }
    return (0..<vocabularySize).reduce(0) { sum, row in
      let (words, bias) = parts(ofRow: row)
      return sum &+ bitSum(of: state, words) &+ bitSum(of: state, bias)
    }
  }

  private func bitSum(of state: ModelState, _ range: Range<Int>) -> UInt64 {
    let start = range.lowerBound
    return kernels.pointee.bit_sum(
      state.parameters.start + start, state.firstMoment.start + start, state.secondMoment.start + start, range.count)
  }

  /// Of what `bitSums` is of, as it is in memory now.
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

  var rowSquares = 0.0
  /// Of each thread.
  let rowBits: UnsafeMutableBufferPointer<kernel_bit_sums>
  private let scratch: AlignedBuffer<Float>

  func scratch(_ thread: Int, _ block: Int) -> UnsafeMutablePointer<Float> { scratch.base + thread * block }

  init(count: Int, threads: Int, scratch scratchCount: Int) {
    rowBits = .allocate(capacity: threads)
    rowBits.initialize(repeating: kernel_bit_sums())
    scratch = .orEnd(count: scratchCount, for: "the update")
    squares = .allocate(capacity: count)
    squares.initialize(repeating: 0)
    bits = .allocate(capacity: count)
    bits.initialize(repeating: kernel_bit_sums())
  }

  deinit {
    squares.deallocate()
    bits.deallocate()
    rowBits.deallocate()
  }
}
