/// What an online softmax over tiles of the vocabulary carries from tile to tile, for R rows.
package struct OnlineSoftmax {
  package let rowMaximum: UnsafeMutablePointer<Float>  // (R), so far
  package let rowSum: UnsafeMutablePointer<Float>  // (R), of the exponentials under that maximum
  package let tileMaximum: UnsafeMutablePointer<Float>  // (R), receives what this tile was shifted by
  package let rescale: UnsafeMutablePointer<Float>  // (R), receives exp(old maximum - new maximum)

  package init(
    rowMaximum: UnsafeMutablePointer<Float>, rowSum: UnsafeMutablePointer<Float>,
    tileMaximum: UnsafeMutablePointer<Float>, rescale: UnsafeMutablePointer<Float>
  ) {
    self.rowMaximum = rowMaximum
    self.rowSum = rowSum
    self.tileMaximum = tileMaximum
    self.rescale = rescale
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

/// What a tile adds to the rows' sums and gradients, for R rows, once its exponentials are made.
package struct TileProducts {
  package let exponentials: ExponentialTile
  /// (R, parts, H), whose sum over the parts is exponentials table; nil where the backend makes that when it is added.
  package let parts: UnsafePointer<Float>?
  package let rescale: UnsafePointer<Float>  // (R)
  package let sums: UnsafePointer<Float>  // (R), of the exponentials

  package init(
    exponentials: ExponentialTile, parts: UnsafePointer<Float>?, rescale: UnsafePointer<Float>, sums: UnsafePointer<Float>
  ) {
    self.exponentials = exponentials
    self.parts = parts
    self.rescale = rescale
    self.sums = sums
  }
}

/// Some neighbouring rows of the tied table with their biases.
package struct VocabularyTile {
  package let table: Matrix  // (W, H)
  package let bias: UnsafePointer<Float>  // (W)
  package let vocabulary: Range<Int>

  package init(table: Matrix, bias: UnsafePointer<Float>, vocabulary: Range<Int>) {
    self.table = table
    self.bias = bias
    self.vocabulary = vocabulary
  }
}
