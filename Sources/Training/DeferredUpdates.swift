import BERT4RecModel
import CKernels
import SystemSupport
import TableSharding

/// Updates without a gradient that rows of the table, and their biases, have not had yet. A row is brought up to date before a step
/// reads it, and all are before somebody looks at the whole state.
///
/// The updates are done one after the other (`adam_idle`), in whatever pieces: the bits are those of updates done at once, so that
/// neither ranks, which read different rows, nor checkpoints and resumption leave a trace. What is saved is the way of the table through
/// memory in each step: a row's numbers stay in registers for all the updates that it has missed.
final class DeferredUpdates: @unchecked Sendable {
  /// A first moment of up to this much becomes 0 in an update without a gradient, so that what follows needs no division and no denormal
  /// numbers. With epsilon 1e-6 what it could still add to a weight is below 1e-5 learning rates.
  static let spent: Float = 1e-12
  /// Updates after which all rows have to be brought up to date.
  static let capacity = 4096

  /// Updates that wait, of which rows have had some or all.
  private(set) var count = 0
  private let rates: AlignedBuffer<Float>  // (capacity)
  private let had: AlignedBuffer<Int32>  // (V)
  private let layout: ParameterLayout
  private let ownership: RowOwnership
  private let rank: Int
  private let kernels: UnsafePointer<kernel_set>
  private let hidden: Int

  /// Of the rows of a rank.
  init(_ layout: ParameterLayout, _ ownership: RowOwnership, rank: Int) {
    (self.layout, self.ownership, self.rank) = (layout, ownership, rank)
    kernels = kernel_set_best()
    hidden = layout.besidesTable.lowerBound / ownership.rowCount
    rates = .orEnd(count: Self.capacity, for: "updates that wait")
    had = .orEnd(count: ownership.rowCount, for: "updates that wait")
  }

  /// Bytes with so many rows.
  static func byteCount(rows: Int) -> Int { 4 * (rows + capacity) }

  var isFull: Bool { count == Self.capacity }

  /// An update that is done for the rows of which it has a gradient begins to wait for the others.
  func append(rate: Float) {
    rates.base[count] = rate
    count += 1
  }

  /// A row that is up to date has the update that is under way, and is not to have it again.
  func updates(_ row: Int) { had.base[row] = Int32(count + 1) }

  /// Brings a row up to date, and adds to the bit sums of what that changes as it was found and as it is left, word embedding and bias
  /// each by itself. Threads may do so at once for different rows.
  func catchUp(_ row: Int, _ state: ModelState, _ sums: inout kernel_bit_sums) {
    let done = Int(had.base[row])
    if done == count { return }
    had.base[row] = Int32(count)
    let bias = layout.predictionBias + row
    let words = idle(row * hidden, count: hidden, decay: AdamConstants.weightDecay, after: done, state)
    let biases = idle(bias, count: 1, decay: 0, after: done, state)
    sums.before &+= words.before &+ biases.before
    sums.after &+= words.after &+ biases.after
  }

  private func idle(_ start: Int, count elements: Int, decay: Float, after done: Int, _ state: ModelState) -> kernel_bit_sums {
    var settings = AdamConstants.settings()
    settings.weight_decay = decay
    return kernels.pointee.adam_idle(
      settings, rates.base + done, count - done, Self.spent, state.parameters.start + start, state.firstMoment.start + start,
      state.secondMoment.start + start, elements)
  }

  /// All rows are up to date, or are those of another state.
  func removeAll() {
    count = 0
    for block in ownership.blocks(of: rank) {
      let rows = ownership.rows(ofBlock: block)
      (had.base + rows.lowerBound).update(repeating: 0, count: rows.count)
    }
  }
}
