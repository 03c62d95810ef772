import SystemSupport

/// Of R rows of logits.
package struct SoftmaxSums {
  package let maximum: UnsafeMutablePointer<Float>  // (R), the largest
  package let sum: UnsafeMutablePointer<Float>  // (R), of exp(logit - maximum)

  package init(maximum: UnsafeMutablePointer<Float>, sum: UnsafeMutablePointer<Float>) {
    self.maximum = maximum
    self.sum = sum
  }

  /// Of the rows from `row` on.
  package func rows(from row: Int) -> SoftmaxSums { SoftmaxSums(maximum: maximum + row, sum: sum + row) }

  /// Σ (log Σ exp logits - logit of the label) of R rows over the whole vocabulary.
  package func loss(labelLogits: UnsafePointer<Float>, rows: Int) -> Double {
    var loss = 0.0
    for row in 0..<rows { loss += PortableMath.log(Double(sum[row])) + Double(maximum[row]) - Double(labelLogits[row]) }
    return loss
  }
}

/// What tiles of the vocabulary have come to so far, for R rows. A row's maximum of -inf: none has been added.
package struct OnlineSoftmax {
  package let sums: SoftmaxSums
  /// (R, H), Σ exp(logit - maximum) times the item's row of the table; nil where it is not wanted.
  package let rowGradients: UnsafeMutablePointer<Float>?

  package init(_ sums: SoftmaxSums, rowGradients: UnsafeMutablePointer<Float>?) {
    self.sums = sums
    self.rowGradients = rowGradients
  }

  /// Before the first tile.
  package func begin(rows: Int) {
    sums.maximum.update(repeating: -.infinity, count: rows)
    sums.sum.update(repeating: 0, count: rows)
  }
}

/// Memory for the exponentials of R rows over one tile of the vocabulary, between the loss's sweeps. How they stand in it is the
/// backend's own affair; `matrix` is the way of those that multiply them as matrices.
package struct ExponentialTile {
  /// Rows and items of the largest tile. Both shape the order of additions, so they are part of `ProgramVersion.numerics`.
  package static let mostRows = 256
  package static let mostItems = 480

  /// Floats between rows of the matrix: one cache line more than the width, since a power of two would put all rows into few of
  /// the cache's sets.
  private static let stride = mostItems + 16

  /// Floats of the largest tile.
  package static let capacity = floats(rows: mostRows)

  /// Floats of a tile of so many rows, whole cache lines.
  package static func floats(rows: Int) -> Int { rows * stride }

  package let base: UnsafeMutablePointer<Float>
  package let rows: Int
  package let width: Int
  /// Whether it is one of so many that none of them will still be in a cache when it is read.
  package let streams: Bool

  /// `base` begins at a multiple of 64 bytes.
  package init(_ base: UnsafeMutablePointer<Float>, rows: Int, width: Int, streams: Bool) {
    self.base = base
    self.rows = rows
    self.width = width
    self.streams = streams
  }

  package var matrix: Matrix { Matrix(base, rows, width, stride: Self.stride) }
}

/// What a tile of the vocabulary comes to by itself, for R rows.
package struct TileResult {
  package let exponentials: ExponentialTile  // (R, W), exp(logit - the tile's maximum)
  package let sums: SoftmaxSums  // (R)
  /// (R), of the rows whose label lies in the tile; others stay as they are.
  package let labelLogits: UnsafeMutablePointer<Float>
  /// (R, H), exponentials times the table; nil where it is not wanted.
  package let products: UnsafeMutablePointer<Float>?

  package init(
    _ exponentials: ExponentialTile, _ sums: SoftmaxSums, labelLogits: UnsafeMutablePointer<Float>, products: UnsafeMutablePointer<Float>?
  ) {
    self.exponentials = exponentials
    self.sums = sums
    self.labelLogits = labelLogits
    self.products = products
  }
}

/// Some neighbouring rows of the tied table with their biases.
package struct VocabularyTile {
  package let table: Matrix  // (W, H)
  package let bias: UnsafePointer<Float>  // (W)
  package let vocabulary: Range<Int>

  /// Tile `index` of the model with these parameters.
  package init(_ index: Int, _ configuration: ModelConfiguration, _ layout: ParameterLayout, parameters: UnsafePointer<Float>) {
    vocabulary = Self.vocabulary(index, of: configuration.vocabularySize)
    let words = parameters + layout.wordEmbeddings + vocabulary.lowerBound * configuration.hiddenSize
    table = Matrix(UnsafeMutablePointer(mutating: words), vocabulary.count, configuration.hiddenSize)
    bias = parameters + layout.predictionBias + vocabulary.lowerBound
  }

  /// Tiles of a vocabulary.
  package static func count(vocabularySize: Int) -> Int { (vocabularySize + ExponentialTile.mostItems - 1) / ExponentialTile.mostItems }

  /// Items of a tile.
  package static func vocabulary(_ index: Int, of size: Int) -> Range<Int> {
    let first = index * ExponentialTile.mostItems
    return first..<min(first + ExponentialTile.mostItems, size)
  }
}
