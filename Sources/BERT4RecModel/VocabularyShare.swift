import SystemSupport

/// Some neighbouring tiles of the vocabulary in the full loss (`MaskedItemLoss`), where others have those before and behind: the same
/// operations in the same order, so the same bits.
///
/// Letters: M masked rows of the whole step, H hidden, N own tiles. All rows meet the own tiles. What a tile comes to is kept until the
/// rows' sums come, with what all tiles before have added. Each call with a thread does that thread's part of the work; all threads end a
/// call before the next one begins.
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
  /// Tiles whose exponentials are kept; those of the others are made again when they are needed.
  private var keptTiles = 0
  /// Whether these are more than a cache has.
  private var streams: Bool { keptTiles * MaskedItemLoss.tileWidth * rowCount > MaskedItemLoss.cachedExponentials }
  private let exponentials = GrowingBuffer<Float>(for: "the loss over the vocabulary")  // (N, M) tiles
  private let products = GrowingBuffer<Float>(for: "the loss over the vocabulary")  // (N, M, H)
  private let maxima = GrowingBuffer<Float>(for: "the loss over the vocabulary")  // (N, M)
  private let sums = GrowingBuffer<Float>(for: "the loss over the vocabulary")  // (N, M)
  private let labels = GrowingBuffer<Float>(for: "the loss over the vocabulary")  // (M)

  /// What a thread has for itself.
  private final class Thread {
    let backend: any Backend
    let exponentials: AlignedBuffer<Float>
    let factors: AlignedBuffer<Float>  // (rowChunk)
    let scratch: AlignedBuffer<Float>  // (rowChunk, H)

    init(_ backend: any Backend, hidden: Int) {
      self.backend = backend
      let purpose = "the loss over the vocabulary"
      exponentials = .orEnd(count: ExponentialTile.capacity, for: purpose)
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
  package static func byteCount(_ configuration: ModelConfiguration, rows: Int, tiles: Int, threads: Int) -> Double {
    let ofRow = ExponentialTile.floats(rows: 1)
    let kept = min(Double(rows * tiles) * Double(ofRow), Double(keptExponentials * threads))
    let ofThread = ExponentialTile.capacity + MaskedItemLoss.rowChunk * (configuration.hiddenSize + 1)
    return 4 * (kept + Double(rows * tiles) * Double(configuration.hiddenSize + 2) + Double(threads * ofThread))
  }

  /// Items of a tile.
  package func vocabulary(_ tile: Int) -> Range<Int> { VocabularyTile.vocabulary(tile, of: configuration.vocabularySize) }

  /// The place of a tile's numbers of a chunk in the buffers of (N, M).
  private func place(_ tile: Int, _ chunk: Chunk) -> Int { (tile - tiles.lowerBound) * rowCount + chunk.rows.lowerBound }

  private func isKept(_ tile: Int) -> Bool { tile - tiles.lowerBound < keptTiles }

  private func exponentials(_ tile: Int, _ chunk: Chunk, _ thread: Thread) -> ExponentialTile {
    let base = isKept(tile) ? exponentials.base + ExponentialTile.floats(rows: place(tile, chunk)) : thread.exponentials.base
    return ExponentialTile(base, rows: chunk.rows.count, width: vocabulary(tile).count, streams: isKept(tile) && streams)
  }

  /// Begins a step of `rowCount` masked rows, which `chunks` has all.
  package func begin(_ chunks: [Chunk], rowCount: Int) {
    self.chunks = chunks
    self.rowCount = rowCount
    let count = tiles.count * rowCount
    keptTiles = min(tiles.count, keptExponentials / max(1, ExponentialTile.floats(rows: rowCount)))
    exponentials.resize(ExponentialTile.floats(rows: keptTiles * rowCount))
    products.resize(count * configuration.hiddenSize)
    for buffer in [maxima, sums] { buffer.resize(count) }
    labels.resize(rowCount)
  }

  private func sums(_ tile: Int, _ chunk: Chunk) -> SoftmaxSums {
    SoftmaxSums(maximum: maxima.base, sum: sums.base).rows(from: place(tile, chunk))
  }

  private func products(_ tile: Int, _ chunk: Chunk) -> UnsafeMutablePointer<Float> {
    products.base + place(tile, chunk) * configuration.hiddenSize
  }

  /// What the own tiles come to: a thread's part of all pairs of a tile and a chunk.
  package func makeTiles(_ index: Int) {
    let pairs = tiles.count * chunks.count
    for pair in index * pairs / threads.count..<(index + 1) * pairs / threads.count {
      Liveness.tick()
      let (tile, chunk) = (tiles.lowerBound + pair / chunks.count, chunks[pair % chunks.count])
      make(tile, chunk, products: products(tile, chunk), threads[index])
    }
  }

  /// A tile's exponentials of a chunk, and what they come to.
  private func make(_ tile: Int, _ chunk: Chunk, products: UnsafeMutablePointer<Float>?, _ thread: Thread) {
    thread.backend.vocabularyTile(
      chunk.t, VocabularyTile(tile, configuration, layout, parameters: parameters), labels: chunk.labels,
      into: TileResult(
        exponentials(tile, chunk, thread), sums(tile, chunk), labelLogits: labels.base + chunk.rows.lowerBound, products: products),
      addingTo: nil)
  }

  /// Adds what the own tiles come to, tile after tile, for a chunk: to `total`, and the logits of the labels that are among them.
  package func add(_ chunk: Chunk, to total: OnlineSoftmax, labelLogits: UnsafeMutablePointer<Float>, thread index: Int) {
    for tile in tiles {
      threads[index].backend.addTile(
        sums(tile, chunk), products: products(tile, chunk), rows: chunk.rows.count, hidden: configuration.hiddenSize, to: total)
    }
    if tiles.isEmpty { return }
    let own = vocabulary(tiles.lowerBound).lowerBound..<vocabulary(tiles.upperBound - 1).upperBound
    for row in chunk.rows.indices {
      let index = row - chunk.rows.lowerBound
      if own.contains(Int(chunk.labels[index])) { labelLogits[index] = labels.base[row] }
    }
  }

  /// Adds the gradients of an own tile's items (W, H) and of their biases (W) for a chunk, or overwrites them. `rows` (M): over the whole
  /// vocabulary.
  package func addGradients(
    tile: Int, _ chunk: Chunk, rows: SoftmaxSums, words: UnsafeMutablePointer<Float>, biases: UnsafeMutablePointer<Float>,
    accumulates: Bool, thread index: Int
  ) {
    let (thread, vocabulary, hidden) = (threads[index], vocabulary(tile), configuration.hiddenSize)
    // With the same bits. All else that it comes to is known.
    if !isKept(tile) { make(tile, chunk, products: nil, thread) }
    thread.backend.softmaxFactors(
      tileMaximum: sums(tile, chunk).maximum, rows.rows(from: chunk.rows.lowerBound), rows: chunk.rows.count, into: thread.factors.base)
    thread.backend.vocabularyTileBackward(
      exponentials(tile, chunk, thread), chunk.t, factors: thread.factors.base,
      scratch: Matrix(thread.scratch.base, chunk.rows.count, hidden), tableGradient: Matrix(words, vocabulary.count, hidden),
      biasGradient: biases, accumulates: accumulates)
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
}

private func subtract(_ values: UnsafePointer<Float>, from target: UnsafeMutablePointer<Float>, count: Int) {
  for index in 0..<count { target[index] -= values[index] }
}
