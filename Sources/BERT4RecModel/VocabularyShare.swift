import SystemSupport

/// Some neighbouring tiles of the vocabulary in the full loss (`MaskedItemLoss`), where others have those before and behind: the same
/// operations in the same order, so the same bits.
///
/// Letters: M masked rows of the whole step, H hidden, N own tiles. All rows meet the own tiles. What depends on tiles before is left
/// open until it is known: a tile's exponentials until the rows' largest logits so far are, and the addition of its products with the
/// table to the rows' gradients until these come with what all tiles before have added. Each call with a thread does that thread's part of
/// the work; all threads end a call before the next one begins.
package final class VocabularyShare: @unchecked Sendable {
  /// Rows that go through the loss together: of one block of one gradient shard.
  package struct Chunk {
    /// Among the step's masked rows.
    package let rows: Range<Int>
    package let t: Matrix  // (rows, H)
    package let labels: UnsafePointer<Int32>  // (rows)

    package init(rows: Range<Int>, t: Matrix, labels: UnsafePointer<Int32>) {
      self.rows = rows
      self.t = t
      self.labels = labels
    }
  }

  /// Exponentials that are kept, per thread: 160 MiB, for a step's rows and not only a chunk's. Shapes no bits.
  package static let keptExponentials = 40 << 20

  /// Own tiles: tile i has items i * `MaskedItemLoss.tileWidth` and so on.
  package let tiles: Range<Int>
  private let configuration: ModelConfiguration
  private let layout: ParameterLayout
  private let parameters: UnsafePointer<Float>
  private let threads: [Thread]
  private let keptExponentials: Int

  private var chunks: [Chunk] = []
  private var rowCount = 0
  /// Chunks that go from logits to products together, while their logits are in a cache, and their rows.
  private var group = 0..<0
  private var groupRows = 0..<0
  /// Tiles whose exponentials are kept; those of the others are made again when they are needed.
  private var keptTiles = 0
  private let exponentials = GrowingBuffer<Float>(for: "the loss over the vocabulary")  // (N, M) tiles
  private let parts = GrowingBuffer<Float>(for: "the loss over the vocabulary")  // (N, M, parts, H)
  /// Largest logit of a tile, then of those before it, then of both (N, M).
  private let largest = GrowingBuffer<Float>(for: "the loss over the vocabulary")
  private let sums = GrowingBuffer<Float>(for: "the loss over the vocabulary")  // (N, M)
  private let rescale = GrowingBuffer<Float>(for: "the loss over the vocabulary")  // (N, M)
  private let labels = GrowingBuffer<Float>(for: "the loss over the vocabulary")  // (M)

  /// What a thread has for itself.
  private final class Thread {
    let backend: any Backend
    let exponentials: AlignedBuffer<Float>
    let unread: AlignedBuffer<Float>  // (5, rowChunk)
    let factors: AlignedBuffer<Float>  // (rowChunk)
    let scratch: AlignedBuffer<Float>  // (rowChunk, H)

    init(_ backend: any Backend, hidden: Int) {
      self.backend = backend
      let purpose = "the loss over the vocabulary"
      exponentials = .orEnd(count: ExponentialTile.capacity, for: purpose)
      unread = .orEnd(count: 5 * MaskedItemLoss.rowChunk, for: purpose)
      factors = .orEnd(count: MaskedItemLoss.rowChunk, for: purpose)
      scratch = .orEnd(count: MaskedItemLoss.rowChunk * hidden, for: purpose)
    }
  }

  /// - Parameters:
  ///   - parameters: a whole model's places, of which those of the own tiles hold numbers.
  ///   - backends: one per thread.
  ///   - keptExponentials: per thread; tests keep fewer.
  package init(
    _ configuration: ModelConfiguration, parameters: UnsafePointer<Float>, tiles: Range<Int>, backends: [any Backend],
    keptExponentials: Int = VocabularyShare.keptExponentials
  ) {
    self.configuration = configuration
    layout = ParameterLayout(configuration)
    self.parameters = parameters
    self.tiles = tiles
    threads = backends.map { Thread($0, hidden: configuration.hiddenSize) }
    self.keptExponentials = keptExponentials * backends.count
  }

  /// Bytes of its buffers for so many masked rows in a step.
  package static func byteCount(
    _ configuration: ModelConfiguration, rows: Int, tiles: Int, backend: any Backend, threads: Int
  ) -> Double {
    let ofRow = ExponentialTile.floats(rows: 1)
    let kept = min(Double(rows * tiles) * Double(ofRow), Double(keptExponentials * threads))
    let parts = backend.tileParts(width: MaskedItemLoss.tileWidth) * configuration.hiddenSize
    let ofThread = ExponentialTile.capacity + MaskedItemLoss.rowChunk * (configuration.hiddenSize + 6)
    return 4 * (kept + Double(rows * tiles) * Double(parts + 3) + Double(threads * ofThread))
  }

  /// Tiles of a vocabulary.
  package static func tileCount(vocabularySize: Int) -> Int {
    (vocabularySize + MaskedItemLoss.tileWidth - 1) / MaskedItemLoss.tileWidth
  }

  /// Items of a tile.
  package func vocabulary(_ tile: Int) -> Range<Int> {
    let first = tile * MaskedItemLoss.tileWidth
    return first..<min(first + MaskedItemLoss.tileWidth, configuration.vocabularySize)
  }

  private func tile(_ tile: Int) -> VocabularyTile {
    let (vocabulary, hidden) = (vocabulary(tile), configuration.hiddenSize)
    return VocabularyTile(
      table: Matrix(
        UnsafeMutablePointer(mutating: parameters + layout.wordEmbeddings + vocabulary.lowerBound * hidden), vocabulary.count, hidden),
      bias: parameters + layout.predictionBias + vocabulary.lowerBound, vocabulary: vocabulary)
  }

  private var partSize: Int { threads[0].backend.tileParts(width: MaskedItemLoss.tileWidth) * configuration.hiddenSize }

  /// The place of a tile's numbers of a chunk in the buffers of (N, M).
  private func place(_ tile: Int, _ chunk: Chunk) -> Int { (tile - tiles.lowerBound) * rowCount + chunk.rows.lowerBound }

  private func isKept(_ tile: Int) -> Bool { tile - tiles.lowerBound < keptTiles }

  private func exponentials(_ tile: Int, _ chunk: Chunk, _ thread: Thread) -> ExponentialTile {
    let base = isKept(tile) ? exponentials.base + ExponentialTile.floats(rows: place(tile, chunk)) : thread.exponentials.base
    return ExponentialTile(base, rows: chunk.rows.count, width: vocabulary(tile).count, streams: false)
  }

  /// Begins a step of `rowCount` masked rows, which `chunks` has all.
  package func begin(_ chunks: [Chunk], rowCount: Int) {
    self.chunks = chunks
    self.rowCount = rowCount
    let count = tiles.count * rowCount
    keptTiles = min(tiles.count, keptExponentials / max(1, ExponentialTile.floats(rows: rowCount)))
    exponentials.resize(ExponentialTile.floats(rows: keptTiles * rowCount))
    parts.resize(count * partSize)
    for buffer in [largest, sums, rescale] { buffer.resize(count) }
    labels.resize(rowCount)
  }

  /// Begins some neighbouring chunks, which the next four calls are for.
  package func begin(group: Range<Int>) {
    self.group = group
    groupRows = group.isEmpty ? 0..<0 : chunks[group.lowerBound].rows.lowerBound..<chunks[group.upperBound - 1].rows.upperBound
  }

  /// A thread's part of all pairs of a tile and a chunk of the group.
  private func forEachPair(_ index: Int, _ body: (_ tile: Int, _ chunk: Chunk) -> Void) {
    let pairs = tiles.count * group.count
    for pair in index * pairs / threads.count..<(index + 1) * pairs / threads.count {
      Liveness.tick()
      body(tiles.lowerBound + pair / group.count, chunks[group.lowerBound + pair % group.count])
    }
  }

  /// All logits, and their largest per tile.
  package func makeLogits(_ index: Int) {
    let thread = threads[index]
    forEachPair(index) { tile, chunk in
      thread.backend.tileLogits(
        chunk.t, self.tile(tile), labels: chunk.labels, into: exponentials(tile, chunk, thread), largest: largest.base + place(tile, chunk),
        labelLogits: labels.base + chunk.rows.lowerBound)
    }
  }

  /// The rows' largest logits of the own tiles (M); -inf without any.
  package func findLargest(_ result: UnsafeMutablePointer<Float>) {
    for row in groupRows { result[row] = -.infinity }
    for tile in 0..<tiles.count {
      let values = largest.base + tile * rowCount
      for row in groupRows where values[row] > result[row] { result[row] = values[row] }
    }
  }

  /// `before`: the rows' largest logits of all tiles before the own ones (M).
  package func begin(largestBefore before: UnsafeMutablePointer<Float>) {
    for tile in 0..<tiles.count {
      let (values, sums) = (largest.base + tile * rowCount, sums.base + tile * rowCount)
      for row in groupRows {
        let own = values[row]
        (values[row], sums[row]) = (before[row], 0)
        if own > before[row] { before[row] = own }
      }
    }
  }

  /// Exponentials and what they come to with the table, where it need not wait.
  package func makeProducts(_ index: Int) {
    let thread = threads[index]
    forEachPair(index) { tile, chunk in
      let (vocabulary, exponentials, place) = (self.tile(tile), exponentials(tile, chunk, thread), place(tile, chunk))
      if !isKept(tile) { makeLogitsAgain(vocabulary, chunk, exponentials, thread) }
      let top = largest.base + place
      thread.backend.tileProducts(
        vocabulary, exponentials,
        OnlineSoftmax(rowMaximum: top, rowSum: sums.base + place, tileMaximum: top, rescale: rescale.base + place),
        parts: partSize == 0 ? nil : parts.base + place * partSize)
    }
  }

  private func makeLogitsAgain(_ vocabulary: VocabularyTile, _ chunk: Chunk, _ exponentials: ExponentialTile, _ thread: Thread) {
    let unread = thread.unread.base
    thread.backend.tileLogits(
      chunk.t, vocabulary, labels: chunk.labels, into: exponentials, largest: unread, labelLogits: unread + MaskedItemLoss.rowChunk)
  }

  /// The exponentials of a tile, which stand somewhere or are made again: under a maximum that is there already, none is larger.
  private func finishedExponentials(_ tile: Int, _ chunk: Chunk, _ thread: Thread) -> ExponentialTile {
    let result = exponentials(tile, chunk, thread)
    if isKept(tile) { return result }
    let (vocabulary, unread, count) = (self.tile(tile), thread.unread.base, MaskedItemLoss.rowChunk)
    makeLogitsAgain(vocabulary, chunk, result, thread)
    unread.update(from: largest.base + place(tile, chunk), count: chunk.rows.count)
    thread.backend.tileProducts(
      vocabulary, result,
      OnlineSoftmax(rowMaximum: unread, rowSum: unread + count, tileMaximum: unread + 2 * count, rescale: unread + 3 * count), parts: nil)
    return result
  }

  /// Adds what the own tiles come to, tile after tile, for a chunk: to tGradient (rows, H), rowSum (rows), and the logits of the labels
  /// that are among them.
  package func add(
    _ chunk: Chunk, to tGradient: Matrix, rowSum: UnsafeMutablePointer<Float>, labelLogits: UnsafeMutablePointer<Float>, thread index: Int
  ) {
    let thread = threads[index]
    for tile in tiles {
      let place = place(tile, chunk)
      let exponentials = partSize == 0 ? finishedExponentials(tile, chunk, thread) : exponentials(tile, chunk, thread)
      thread.backend.addTile(
        self.tile(tile),
        TileProducts(
          exponentials: exponentials, parts: partSize == 0 ? nil : UnsafePointer(parts.base + place * partSize),
          rescale: rescale.base + place, sums: sums.base + place), to: tGradient, rowSum: rowSum)
    }
    if tiles.isEmpty { return }
    let own = vocabulary(tiles.lowerBound).lowerBound..<vocabulary(tiles.upperBound - 1).upperBound
    for row in chunk.rows.indices {
      let index = row - chunk.rows.lowerBound
      if own.contains(Int(chunk.labels[index])) { labelLogits[index] = labels.base[row] }
    }
  }

  /// Adds the gradients of an own tile's items (W, H) and of their biases (W) for a chunk, or overwrites them. rowMaximum, rowSum (M):
  /// over the whole vocabulary.
  package func addGradients(
    tile: Int, _ chunk: Chunk, rowMaximum: UnsafeMutablePointer<Float>, rowSum: UnsafeMutablePointer<Float>,
    words: UnsafeMutablePointer<Float>, biases: UnsafeMutablePointer<Float>, accumulates: Bool, thread index: Int
  ) {
    let (thread, vocabulary, hidden, first) = (threads[index], vocabulary(tile), configuration.hiddenSize, chunk.rows.lowerBound)
    let exponentials = finishedExponentials(tile, chunk, thread)
    thread.backend.softmaxFactors(
      OnlineSoftmax(
        rowMaximum: rowMaximum + first, rowSum: rowSum + first, tileMaximum: largest.base + place(tile, chunk), rescale: thread.unread.base),
      rows: chunk.rows.count, into: thread.factors.base)
    thread.backend.vocabularyTileBackward(
      exponentials, chunk.t, factors: thread.factors.base, scratch: Matrix(thread.scratch.base, chunk.rows.count, hidden),
      tableGradient: Matrix(words, vocabulary.count, hidden), biasGradient: biases, accumulates: accumulates)
    for row in 0..<chunk.rows.count where vocabulary.contains(Int(chunk.labels[row])) {
      let place = Int(chunk.labels[row]) - vocabulary.lowerBound
      biases[place] -= 1
      subtract(chunk.t.base + row * chunk.t.stride, from: words + place * hidden, count: hidden)
    }
  }
}

/// The rows' part of what `MaskedItemLoss` does once their sums over the vocabulary are known.
package enum DividedSoftmax {
  /// tGradient (R, H) = sums (R, H) / rowSum (R) - the labels' rows of the table.
  package static func finish(
    _ sums: Matrix, rowSum: UnsafePointer<Float>, labels: UnsafePointer<Int32>, words: UnsafePointer<Float>, backend: any Backend,
    factors: UnsafeMutablePointer<Float>, into tGradient: UnsafeMutablePointer<Float>
  ) {
    for row in 0..<sums.rows { factors[row] = 1 / rowSum[row] }
    backend.multiplyRows(sums, by: factors, into: tGradient)
    for row in 0..<sums.rows {
      subtract(words + Int(labels[row]) * sums.columns, from: tGradient + row * sums.columns, count: sums.columns)
    }
  }

  /// The loss of R rows.
  package static func loss(
    rowMaximum: UnsafePointer<Float>, rowSum: UnsafePointer<Float>, labelLogits: UnsafePointer<Float>, rows: Int
  ) -> Double {
    var loss = 0.0
    for row in 0..<rows {
      loss += PortableMath.log(Double(rowSum[row])) + Double(rowMaximum[row]) - Double(labelLogits[row])
    }
    return loss
  }
}

private func subtract(_ values: UnsafePointer<Float>, from target: UnsafeMutablePointer<Float>, count: Int) {
  for index in 0..<count { target[index] -= values[index] }
}
