import SystemSupport

/// Finds the items that belong into the buckets of `BucketLoss`: for each bucket those with the largest Σ ω logit, of equal ones those
/// with the lower ids.
///
/// What is found in parts of the table, in whatever order and by whatever rank, is found in the whole of it: a score is the same number
/// wherever it is computed.
package final class BucketSearch {
  /// Rows of the table that are multiplied together. A block of a sharded table (`RowOwnership.blockRows`) has whole ones, so that
  /// OpenBLAS too multiplies the same matrices whoever has the rows.
  package static let tileWidth = 512

  private let configuration: ModelConfiguration
  private let layout: ParameterLayout
  private let backend: any Backend
  private let scores: UnsafeMutablePointer<Float>  // (n, tile)
  private var top: TopRows
  private var bucketCount = 0

  /// Room for so many buckets at a time, and items of each.
  package init(_ configuration: ModelConfiguration, _ backend: any Backend, _ workspace: Workspace, buckets: Int, items: Int) {
    self.configuration = configuration
    layout = ParameterLayout(configuration)
    self.backend = backend
    scores = workspace.floats(buckets * Self.tileWidth)
    top = TopRows(workspace, lists: buckets, capacity: items)
  }

  /// Begins with other buckets, each of which is to have up to so many items.
  package func begin(buckets: Int, items: Int) {
    bucketCount = buckets
    top.begin(limit: items)
  }

  /// Looks at some rows of the table, which begin where a tile does.
  ///
  /// - Parameters:
  ///   - centers: the buckets' vectors c (n, H).
  ///   - weights: of each, what the bias is multiplied with (n).
  package func search(_ rows: Range<Int>, centers: Matrix, weights: UnsafePointer<Float>, parameters: UnsafePointer<Float>) {
    precondition(rows.lowerBound % Self.tileWidth == 0 && centers.rows == bucketCount)
    let hidden = configuration.hiddenSize
    for first in stride(from: rows.lowerBound, to: rows.upperBound, by: Self.tileWidth) {
      Liveness.tick()
      let tile = Matrix(scores, bucketCount, min(Self.tileWidth, rows.upperBound - first))
      let table = Matrix(parameters + layout.wordEmbeddings + first * hidden, tile.columns, hidden)
      backend.multiply(centers, transposed: false, table, transposed: true, into: tile, scale: 1, accumulates: false)
      top.take(tile, first: first, weights: weights, bias: parameters + layout.predictionBias + first)
    }
  }

  /// Takes an item that was found elsewhere.
  package func take(_ item: Int32, score: Float, into bucket: Int) { top.take(item, score, into: bucket) }

  /// Nothing more is taken: the items of each bucket are in ascending order from now on.
  package func end() { for bucket in 0..<bucketCount { top.sort(bucket) } }

  /// The items of a bucket, and their scores.
  package func found(_ bucket: Int) -> (items: UnsafeBufferPointer<Int32>, scores: UnsafeBufferPointer<Float>) {
    (top.list(bucket), top.scores(bucket))
  }
}
