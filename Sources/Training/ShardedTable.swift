import BERT4RecModel
import Communication
import SystemSupport
import TableSharding

/// The rows of a state's table that belong to several ranks: brought to who reads them, and moved to and from rank 0 for checkpoints.
///
/// A rank's own rows stand in the state's buffers, and so do the parameters of those that it has fetched, until their pages are given
/// back.
package final class ShardedTable: @unchecked Sendable {
  package let ownership: RowOwnership
  package let rank: Int

  /// Whether each rank has neighbouring rows, so that no rank makes the gradient of another one's.
  var isDivided: Bool { ownership.size > 1 && ownership.arrangement != .dealt }

  private let memory: [AlignedMemory]
  private let layout: ParameterLayout
  private let parameters: TableTransfer.Table
  private let rows: RowFetch
  private let pages: [ForeignPages]
  private let transfer: TableTransfer
  private let kept: KeptBuffers

  /// `memory`: a state's buffers (`StateBuffer`), reserved.
  init(
    _ memory: [AlignedMemory], _ layout: ParameterLayout, _ configuration: ModelConfiguration, _ communicator: any Communicator,
    _ arrangement: RowOwnership.Arrangement
  ) {
    self.memory = memory
    self.layout = layout
    rank = communicator.rank
    let (ownership, hidden) = (
      RowOwnership(rowCount: configuration.vocabularySize, size: communicator.size, arrangement), configuration.hiddenSize
    )
    self.ownership = ownership
    precondition(layout.wordEmbeddings == 0, "blocks of rows begin on pages")
    func tables(_ memory: [AlignedMemory]) -> [TableTransfer.Table] {
      memory.map { memory in
        let base = memory.elements(Float.self).start
        return TableTransfer.Table(words: base, biases: base + layout.predictionBias)
      }
    }
    func pages(_ memory: [AlignedMemory]) -> [ForeignPages] {
      memory.map {
        ForeignPages(
          $0, ownership, rank: communicator.rank, hidden: hidden, biases: layout.predictionBias * MemoryLayout<Float>.stride)
      }
    }
    let (own, kept) = (tables(memory), KeptBuffers())
    parameters = own[0]
    self.pages = pages(memory)
    self.kept = kept
    rows = RowFetch(communicator: communicator, ownership: ownership, hidden: hidden)
    let byteCounts = memory.map(\.byteCount)
    transfer = TableTransfer(
      communicator: communicator, ownership: ownership, hidden: hidden, tables: own,
      makeCopies: { () throws(ProgramFailure) in
        kept.memory = try byteCounts.map { bytes throws(ProgramFailure) in
          try AlignedMemory(reserving: bytes, for: "a copy of the best state")
        }
        kept.pages = pages(kept.memory)
        return tables(kept.memory)
      })
  }

  /// What `keep` copies to: pages as they are touched.
  private final class KeptBuffers {
    var memory: [AlignedMemory] = []
    var pages: [ForeignPages] = []
  }

  /// Collective. Brings the parameters of those rows among `ids`, ascending and each once, that are not this rank's to their places in the
  /// state's parameters, where they stay as they are now until the next call at least.
  package func fetch(_ ids: UnsafeBufferPointer<Int32>) throws(CollectiveFailure) {
    pages[0].expect(ids)
    try rows.fetch(ids, words: parameters.words, biases: parameters.biases)
  }

  /// Collective. Brings the rows of the tiles that this rank scores in an evaluation to their places in the state's parameters, where they
  /// stay until `endBorrowing`. With dealt blocks these are the rank's own rows.
  func borrowTiles() throws(CollectiveFailure) {
    let tiles = RowOwnership(rowCount: ownership.rowCount, size: ownership.size)
    if tiles == ownership { return }
    let rows = tiles.blocks(of: rank).map { tiles.rows(ofBlock: $0) }
    pages[0].spare(rows)
    // Tile after tile, as many on each rank, so that the list of a tile's rows is all that it takes.
    let count = (tiles.blockCount + tiles.size - 1) / tiles.size
    for index in 0..<count {
      let ids = index < rows.count ? rows[index].map { Int32($0) } : []
      try ids.withUnsafeBufferPointer { (ids) throws(CollectiveFailure) in
        try self.rows.fetch(ids, words: parameters.words, biases: parameters.biases)
      }
    }
  }

  /// The borrowed rows are given back.
  func endBorrowing() { pages[0].spare([]) }

  /// Called with each row of this rank before it is sent to another one.
  var beforeSending: (Int) -> Void {
    get { rows.beforeSending }
    set { rows.beforeSending = newValue }
  }

  /// Bytes that this rank has sent to others for `fetch` so far.
  package var sentBytes: Int { rows.sentBytes }

  /// Bytes besides own rows, where a step reads so many rows of others.
  static func byteCount(rows: Double, hidden: Int) -> Double {
    ForeignPages.byteCount(rows: rows, hidden: hidden) + RowFetch.byteCount(rows: rows, hidden: hidden)
      + Double(TableTransfer.roundElements * MemoryLayout<Float>.stride)
  }

  // MARK: - Rank 0's work

  /// Collective: `TableTransfer.fromRankZero`.
  func fromRankZero<Value: Communicable>(_ work: () throws(ProgramFailure) -> Value) throws(CollectiveFailure) -> Value {
    try transfer.fromRankZero(work)
  }

  /// On rank 0, within `fromRankZero`. Calls `take` with stretches of a buffer, in order, in which all rows stand.
  func read(_ buffer: Int, _ take: (UnsafeBufferPointer<Float>) throws(ProgramFailure) -> Void) throws(ProgramFailure) {
    try read(table: buffer, memory[buffer], pages[buffer], take)
  }

  /// The same of what the buffer was when `keep` was last called.
  func readKept(_ buffer: Int, _ take: (UnsafeBufferPointer<Float>) throws(ProgramFailure) -> Void) throws(ProgramFailure) {
    try read(table: memory.count + buffer, kept.memory[buffer], kept.pages[buffer], take)
  }

  /// On rank 0, within `fromRankZero`. All ranks keep a copy of what they have of the state.
  func keep() throws(ProgramFailure) {
    try transfer.keepCopies()
    for (memory, copy) in zip(memory, kept.memory) {
      let (from, to) = (memory.elements(Float.self), copy.elements(Float.self))
      for element in layout.besidesTable { to[element] = from[element] }
    }
  }

  private func read(
    table: Int, _ memory: AlignedMemory, _ pages: ForeignPages, _ take: (UnsafeBufferPointer<Float>) throws(ProgramFailure) -> Void
  ) throws(ProgramFailure) {
    let elements = UnsafeBufferPointer(memory.elements(Float.self))
    try forEachStretch { (stretch) throws(ProgramFailure) in
      if let blocks = stretch.blocks { try transfer.collect(blocks.part, ofTable: table, blocks.range) }
      defer { if let blocks = stretch.blocks { pages.giveBack(blocks.range) } }
      try take(UnsafeBufferPointer(rebasing: elements[stretch.elements]))
    }
  }

  /// On rank 0, within `fromRankZero`. Calls `fill`, which writes a stretch of a buffer, for all of them, and brings rows to their owners.
  /// What stands beside the table is then on rank 0 alone.
  func overwrite(_ buffer: Int, _ fill: (Range<Int>) throws(ProgramFailure) -> Void) throws(ProgramFailure) {
    try forEachStretch { (stretch) throws(ProgramFailure) in
      try fill(stretch.elements)
      guard let blocks = stretch.blocks else { return }
      try transfer.distribute(blocks.part, ofTable: buffer, blocks.range)
      pages[buffer].giveBack(blocks.range)
    }
  }

  /// Some elements of a flat buffer, and the blocks of rows that they are, if they are.
  private struct Stretch {
    let elements: Range<Int>
    var blocks: (part: TableTransfer.Part, range: Range<Int>)?
  }

  private func forEachStretch(_ body: (Stretch) throws(ProgramFailure) -> Void) throws(ProgramFailure) {
    for blocks in transfer.stretches(of: .words) { try body(Stretch(elements: words(blocks), blocks: (.words, blocks))) }
    try body(Stretch(elements: layout.besidesTable))
    for blocks in transfer.stretches(of: .biases) { try body(Stretch(elements: biases(blocks), blocks: (.biases, blocks))) }
  }

  private func rowsOf(_ blocks: Range<Int>) -> Range<Int> {
    ownership.rows(ofBlock: blocks.lowerBound).lowerBound..<ownership.rows(ofBlock: blocks.upperBound - 1).upperBound
  }

  private func words(_ blocks: Range<Int>) -> Range<Int> {
    let (rows, hidden) = (rowsOf(blocks), layout.besidesTable.lowerBound / ownership.rowCount)
    return rows.lowerBound * hidden..<rows.upperBound * hidden
  }

  private func biases(_ blocks: Range<Int>) -> Range<Int> {
    let rows = rowsOf(blocks)
    return layout.predictionBias + rows.lowerBound..<layout.predictionBias + rows.upperBound
  }

  // MARK: - The beginning

  /// Everything becomes zero, moments too, and this rank's own parameters those of `initialize(elements)`.
  func begin(_ initialize: (Range<Int>) -> Void) {
    for memory in memory { memory.giveBackAll() }
    for block in ownership.blocks(of: rank) { initialize(words(block..<block + 1)) }
    initialize(layout.besidesTable)
  }
}
