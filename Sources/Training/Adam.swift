import BERT4RecModel
import CKernels
import GradientSum
import SystemSupport
import TableSharding

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
/// Rows of the table, and their biases, that a step does not touch are left alone where gradients have rows: with `tableAdam: lazy` for
/// good, moments and all; with `exact` until they are read (`DeferredUpdates`), unless each step reads the whole table. Where the table is
/// sharded, an update goes through the rank's own rows alone.
package struct Adam {
  private static let block = 1 << 16

  private let layout: ParameterLayout
  /// Whose rows they are, where gradients have rows; one rank's, where the table is not sharded.
  private let ownership: RowOwnership?
  private let rank: Int
  /// Whether an update goes through the rows that a step touches, and no others.
  private let touchesFew: Bool
  /// What the others have not had yet; nil where they do not get it, or have it at once.
  let deferred: DeferredUpdates?
  private let kernels = kernel_set_best()
  /// Ranges of the flat buffer that an update goes through whole, each wholly decayed or not, none longer than a block: first those whose
  /// squares are summed one by one, then, where gradients have rows, those of the table.
  private let blocks: [(range: Range<Int>, decays: Bool)]
  private let summedCount: Int
  /// Ranges whose squares are summed one by one: the first `summedCount` blocks or, where a rank's own rows are neighbours, those that
  /// they would be if it had the whole table.
  let pieces: [Range<Int>]
  let squares: UnsafeMutableBufferPointer<Double>
  /// Sums of the squares of the rows' gradients, by blocks of rows (`RowOwnership`); empty where gradients have no rows. Where the table
  /// is sharded, those of other ranks' blocks have to be put in before `norm`.
  package let rowSquares: UnsafeMutableBufferPointer<Double>
  private let bits: UnsafeMutableBufferPointer<kernel_bit_sums>
  private let storage: BlockSums
  private var settings = kernel_adam()

  /// - Parameters:
  ///   - table: `lazy` needs gradients with rows.
  ///   - rows: whose rows they are where gradients have rows, of one rank where the table is not sharded; nil: gradients are whole buffers.
  ///   - own: rows of the table that the rank has, where they are neighbours; nil: all, or `rows`.
  ///   - readsAll: whether each step reads rows that it does not touch.
  ///   - threads: that will share the work.
  package init(
    _ layout: ParameterLayout, table: TableAdam = .exact, rows: RowOwnership? = nil, rank: Int = 0, own: Range<Int>? = nil,
    readsAll: Bool = false, threads: Int = 1
  ) {
    precondition(table == .exact || rows != nil, "a lazy update is one of rows")
    self.layout = layout
    ownership = rows
    self.rank = rank
    deferred = table == .exact && !readsAll ? rows.map { DeferredUpdates(layout, $0, rank: rank) } : nil
    touchesFew = table == .lazy || deferred != nil
    func runs(of slots: [ParameterSlot]) -> [(range: Range<Int>, decays: Bool)] {
      var runs: [(range: Range<Int>, decays: Bool)] = []
      for slot in slots {
        if let last = runs.last, last.decays == slot.decays {
          runs[runs.count - 1].range = last.range.lowerBound..<slot.range.upperBound
        } else {
          runs.append((slot.range, slot.decays))
        }
      }
      return runs
    }
    let beside = layout.slots.filter { layout.besidesTable.contains($0.offset) }
    func pieces(_ range: Range<Int>, _ length: Int) -> [Range<Int>] {
      stride(from: range.lowerBound, to: range.upperBound, by: length).map { $0..<min($0 + length, range.upperBound) }
    }
    func cut(_ slots: [ParameterSlot]) -> [(range: Range<Int>, decays: Bool)] {
      runs(of: slots).flatMap { run in pieces(run.range, Self.block).map { ($0, run.decays) } }
    }
    var blocks = cut(rows == nil && own == nil ? layout.slots : beside)
    summedCount = blocks.count
    self.pieces = own == nil ? blocks.map(\.range) : cut(layout.slots).map(\.range)
    if let own {
      let hidden = layout.besidesTable.lowerBound / (layout.count - layout.predictionBias)
      blocks += pieces(own.lowerBound * hidden..<own.upperBound * hidden, Self.block).map { ($0, true) }
      blocks += pieces(layout.predictionBias + own.lowerBound..<layout.predictionBias + own.upperBound, Self.block).map { ($0, false) }
    }
    if let rows, !touchesFew {
      for block in rows.blocks(of: rank) {
        let (own, hidden) = (rows.rows(ofBlock: block), layout.besidesTable.lowerBound / rows.rowCount)
        blocks += pieces(own.lowerBound * hidden..<own.upperBound * hidden, Self.block).map { ($0, true) }
        blocks.append((layout.predictionBias + own.lowerBound..<layout.predictionBias + own.upperBound, false))
      }
    }
    self.blocks = blocks
    storage = BlockSums(
      count: blocks.count, pieces: self.pieces.count, rowBlocks: rows?.blockCount ?? 0, threads: threads, scratch: threads * Self.block)
    squares = storage.squares
    rowSquares = storage.rowSquares
    bits = storage.bits
  }

  /// A thread's share of the sums of squares.
  package func addSquares(_ gradients: UnsafePointer<Float>, thread: Int = 0, of threads: Int = 1) {
    addSquares(SummedGradient(gradients, layout), thread: thread, of: threads)
  }

  package func addSquares(_ gradient: SummedGradient, thread: Int, of threads: Int) {
    precondition(gradient.own == nil, "whose squares are `SquaresExchange`'s")
    for index in stride(from: thread, to: pieces.count, by: threads) {
      let range = pieces[index]
      let values = gradient.elements(range, scratch: storage.scratch(thread, Self.block))
      squares[index] = values.map { kernels.pointee.sum_of_squares($0, range.count) } ?? 0
    }
    if let ownership { addRowSquares(touched(gradient), ShardTree.range(part: thread, of: threads, in: 0..<ownership.blockCount)) }
  }

  /// Row by row, ascending, a number per block of rows.
  private func addRowSquares(_ rows: RowList, _ blocks: Range<Int>) {
    UnsafeMutableBufferPointer(rebasing: rowSquares[blocks]).update(repeating: 0)
    var index = rows.firstIndex(from: blocks.lowerBound * RowOwnership.blockRows)
    while index < rows.count, Int(rows.ids[index]) < blocks.upperBound * RowOwnership.blockRows {
      let squares = kernels.pointee.sum_of_squares(rows.values + index * rows.width, rows.width)
      rowSquares[Int(rows.ids[index]) / RowOwnership.blockRows] += squares
      index += 1
    }
  }

  private func touched(_ gradient: SummedGradient) -> RowList {
    guard let rows = gradient.rows else { preconditionFailure("an update of rows needs their gradients") }
    return rows
  }

  /// The global norm of the gradient of the mean loss, once all squares are there; added in the order of the blocks, rows first.
  package func norm(maskedCount: Int) -> Double {
    squares.reduce(rowSquares.reduce(0, +), +).squareRoot() / Double(maskedCount)
  }

  /// Settles an update. The summed gradients are divided by the number of masked items by the update, once.
  package mutating func begin(rate: Double, norm: Double, maskedCount: Int) {
    let clip = AdamConstants.clipNorm / max(norm, AdamConstants.clipNorm)
    settings = AdamConstants.settings(rate: Float(rate), gradientScale: Float(clip / Double(maskedCount)))
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
      settings.weight_decay = decays ? AdamConstants.weightDecay : 0
      bits[index] = kernels.pointee.adam_update(
        settings, state.parameters.start + start, values, state.firstMoment.start + start,
        state.secondMoment.start + start, range.count)
    }
    if touchesFew { updateRows(state, touched(gradient), thread: thread, of: threads) }
  }

  private func updateRows(_ state: ModelState, _ rows: RowList, thread: Int, of threads: Int) {
    var sums = storage.rowBits[thread]
    var settings = settings
    func update(_ range: Range<Int>, _ gradient: UnsafePointer<Float>) {
      let part = kernels.pointee.adam_update(
        settings, state.parameters.start + range.lowerBound, gradient, state.firstMoment.start + range.lowerBound,
        state.secondMoment.start + range.lowerBound, range.count)
      sums.before &+= part.before
      sums.after &+= part.after
    }
    for index in ShardTree.range(part: thread, of: threads, in: 0..<rows.count) {
      let (row, gradient) = (Int(rows.ids[index]), rows.values + index * rows.width)
      let (words, bias) = parts(ofRow: row)
      deferred?.catchUp(row, state, &sums)
      settings.weight_decay = AdamConstants.weightDecay
      update(words, gradient)
      settings.weight_decay = 0
      update(bias, gradient + words.count)
      deferred?.updates(row)
    }
    storage.rowBits[thread] = sums
  }

  // MARK: - Updates that wait

  /// All threads have updated their parts: the other rows' updates wait from now on.
  package func end() { deferred?.append(rate: settings.learning_rate) }

  /// A thread's share of some rows, of which those of other ranks are left out: brings them up to date.
  package func catchUp(_ rows: UnsafeBufferPointer<Int32>, _ state: ModelState, thread: Int, of threads: Int) {
    guard let deferred, let ownership else { return }
    for index in ShardTree.range(part: thread, of: threads, in: 0..<rows.count) {
      let row = Int(rows[index])
      if ownership.owner(ofRow: row) == rank { deferred.catchUp(row, state, &storage.rowBits[thread]) }
    }
  }

  /// A row of this rank, which another one asks for.
  package func catchUp(_ row: Int, _ state: ModelState) { deferred?.catchUp(row, state, &storage.rowBits[0]) }

  /// All rows are up to date, or the state is another one: nothing waits any more.
  package func endCatchingUp() { deferred?.removeAll() }

  /// A thread's share of all rows of this rank.
  package func catchUpAll(_ state: ModelState, thread: Int, of threads: Int) {
    guard let deferred, let ownership, deferred.count > 0 else { return }
    for (index, block) in ownership.blocks(of: rank).enumerated() where index % threads == thread {
      for row in ownership.rows(ofBlock: block) { deferred.catchUp(row, state, &storage.rowBits[thread]) }
      Liveness.tick()
    }
  }

  /// A row and its bias in the flat buffers.
  private func parts(ofRow row: Int) -> (words: Range<Int>, bias: Range<Int>) {
    let hidden = layout.besidesTable.lowerBound / vocabularySize
    let bias = layout.predictionBias + row
    return (row * hidden..<(row + 1) * hidden, bias..<bias + 1)
  }

  private var vocabularySize: Int { layout.count - layout.predictionBias }

  /// Of all that an update goes through whole, as the last one found it and as it left it: of the whole state where that is so.
  package var bitSums: (before: UInt64, after: UInt64) {
    bits.reduce((before: 0, after: 0)) { ($0.before &+ $1.before, $0.after &+ $1.after) }
  }

  /// How much the bit sum of rows that are touched one by one has changed since the last call.
  package func takeRowBitChange() -> UInt64 {
    let change = storage.rowBits.reduce(0) { $0 &+ $1.after &- $1.before }
    storage.rowBits.update(repeating: kernel_bit_sums())
    return change
  }

  /// Of the rows that are touched one by one; 0 where an update goes through the whole table.
  package func rowBitSum(of state: ModelState) -> UInt64 {
    guard touchesFew, let ownership else { return 0 }
    var sum: UInt64 = 0
    for block in ownership.blocks(of: rank) {
      for row in ownership.rows(ofBlock: block) {
        let (words, bias) = parts(ofRow: row)
        sum &+= bitSum(of: state, words) &+ bitSum(of: state, bias)
      }
    }
    return sum
  }

  private func bitSum(of state: ModelState, _ range: Range<Int>) -> UInt64 {
    let start = range.lowerBound
    return kernels.pointee.bit_sum(
      state.parameters.start + start, state.firstMoment.start + start, state.secondMoment.start + start, range.count)
  }

  /// Of what `bitSums` is of, as it is in memory now.
  package func bitSum(of state: ModelState) -> UInt64 { blocks.reduce(0) { $0 &+ bitSum(of: state, $1.range) } }

  /// The same of what stands beside the table, where gradients have rows: what all ranks have, also of a sharded table.
  package func bitSumBesidesTable(of state: ModelState) -> UInt64 {
    blocks[..<summedCount].reduce(0) { $0 &+ bitSum(of: state, $1.range) }
  }

  /// That sum as the last update left it.
  package var bitSumBesidesTable: UInt64 { bits[..<summedCount].reduce(0) { $0 &+ $1.after } }
}

/// What is summed per block.
private final class BlockSums {
  let squares: UnsafeMutableBufferPointer<Double>
  let bits: UnsafeMutableBufferPointer<kernel_bit_sums>
  /// Of blocks of rows.
  let rowSquares: UnsafeMutableBufferPointer<Double>
  /// Of each thread.
  let rowBits: UnsafeMutableBufferPointer<kernel_bit_sums>
  private let scratch: AlignedBuffer<Float>

  func scratch(_ thread: Int, _ block: Int) -> UnsafeMutablePointer<Float> { scratch.base + thread * block }

  init(count: Int, pieces: Int, rowBlocks: Int, threads: Int, scratch scratchCount: Int) {
    rowSquares = .allocate(capacity: rowBlocks)
    rowSquares.initialize(repeating: 0)
    rowBits = .allocate(capacity: threads)
    rowBits.initialize(repeating: kernel_bit_sums())
    scratch = .orEnd(count: scratchCount, for: "the update")
    squares = .allocate(capacity: pieces)
    squares.initialize(repeating: 0)
    bits = .allocate(capacity: count)
    bits.initialize(repeating: kernel_bit_sums())
  }

  deinit {
    squares.deallocate()
    bits.deallocate()
    rowBits.deallocate()
    rowSquares.deallocate()
  }
}
