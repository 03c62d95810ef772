import Masking
import SystemSupport

/// Scalable cross entropy (`sce`, arXiv 2409.18721): a row's cross entropy over its label and the items that are hardest for rows like
/// it. Rows and items with the largest inner products with the same random vector share a bucket, and only these meet.
///
/// Letters: M masked rows of a block, n buckets, H hidden, V vocabulary. Bucket i has the vector c_i = Σ ω_i t over the rows, ω
/// normal: with it go the ⌈2 M / n⌉ rows with the largest c_i · t and the items with the largest Σ ω_i logit. A row that several
/// buckets have counts where its loss is largest; one that none has is left out of this step. What is chosen gets no gradient; given
/// that, loss and gradients are exact.
package final class BucketLoss {
  /// Buckets of a block at most; a block has fewer masked rows.
  package static let maximumBuckets = 4096

  private let context: LayerContext
  private let loss: LossConfiguration
  /// Of each bucket.
  private let itemCount: Int
  private let candidates: CandidateRows
  private let normals: UnsafeMutablePointer<Float>  // ω (n, M)
  private let normalSums: UnsafeMutablePointer<Float>  // (n), of ω's rows
  private let centers: UnsafeMutablePointer<Float>  // c (n, H)
  private let scores: UnsafeMutablePointer<Float>  // (n, M)
  private var rowsOfBuckets: TopRows
  /// Of the buckets' items; where the table is elsewhere, these are taken from there between `begin` and `evaluate`.
  package let search: BucketSearch
  private let rows: UnsafeMutablePointer<Float>  // t and then its gradient of a bucket (rows, H)
  private let rowGradient: UnsafeMutablePointer<Float>  // (rows, H)
  private let labelsOfRows: UnsafeMutablePointer<Int32>  // (rows)
  private let exponentials: UnsafeMutablePointer<Float>  // (n, rows, items), kept for the backward pass
  private let savedFactors: UnsafeMutablePointer<Float>  // (n, rows)
  private let savedSlopes: UnsafeMutablePointer<Float>  // (n, rows)
  private let largest: UnsafeMutablePointer<Double>  // (M)
  private let bucketOf: UnsafeMutablePointer<Int32>  // (M)
  private let softmax: RowSoftmax
  /// Of the last call.
  package private(set) var bucketCount = 0
  private var rowCount = 0

  package init(_ context: LayerContext, _ loss: LossConfiguration) {
    self.context = context
    self.loss = loss
    let (workspace, hidden) = (context.workspace, context.configuration.hiddenSize)
    let capacity = context.rowCapacity
    itemCount = min(loss.bucketItems, context.configuration.vocabularySize)
    // The most of each, over all M up to the capacity.
    let buckets = Self.bucketCount(loss, rows: capacity)
    let rowsPerBucket = (1...capacity).reduce(0) { max($0, Self.rowCount(buckets: Self.bucketCount(loss, rows: $1), rows: $1)) }
    candidates = CandidateRows(context, capacity: itemCount, rowCapacity: rowsPerBucket)
    normals = workspace.floats(buckets * capacity)
    normalSums = workspace.floats(buckets)
    centers = workspace.floats(buckets * hidden)
    scores = workspace.floats(buckets * capacity)
    rowsOfBuckets = TopRows(workspace, lists: buckets, capacity: rowsPerBucket)
    search = BucketSearch(context.configuration, context.backend, workspace, buckets: buckets, items: itemCount)
    rows = workspace.floats(rowsPerBucket * hidden)
    rowGradient = workspace.floats(rowsPerBucket * hidden)
    labelsOfRows = workspace.indices(rowsPerBucket)
    // Buckets times their rows are 2 M, and as many again where both are rounded up.
    exponentials = workspace.floats(buckets * rowsPerBucket * CandidateRows.stride(itemCount))
    savedFactors = workspace.floats(buckets * rowsPerBucket)
    savedSlopes = workspace.floats(buckets * rowsPerBucket)
    largest = workspace.doubles(capacity)
    bucketOf = workspace.indices(capacity)
    softmax = RowSoftmax(context, rows: rowsPerBucket)
  }

  /// n for M rows.
  package static func bucketCount(_ loss: LossConfiguration, rows: Int) -> Int {
    min(2 * rows, loss.buckets ?? Int((2 * Double(rows)).squareRoot().rounded(.up)))
  }

  /// Rows of each of n buckets.
  package static func rowCount(buckets: Int, rows: Int) -> Int { min(rows, (2 * rows + buckets - 1) / buckets) }

  /// The loss of t (M, H), the rows of a block. With a place for it, overwrites tGradient (M, H) and adds the gradients of the table
  /// and the bias.
  package func callAsFunction(_ t: Matrix, _ block: Block, tGradient: Matrix?, _ pass: Pass) -> Double {
    guard let key = pass.negatives else { preconditionFailure("buckets need a key") }
    choose(t, key.ofBuckets(block), pass)
    return evaluate(t, block.labels, tGradient: tGradient, pass)
  }

  /// Fills the buckets for t (M, H). `key`: one that no other block's draws have.
  package func choose(_ t: Matrix, _ key: UInt64, _ pass: Pass) {
    begin(t, key)
    search.search(0..<context.configuration.vocabularySize, centers: vectors, weights: weights, parameters: pass.parameters)
    search.end()
  }

  // MARK: - For a table that is elsewhere

  /// The vectors c (n, H) of the buckets that `begin` has made.
  package var vectors: Matrix { Matrix(centers, bucketCount, context.configuration.hiddenSize) }

  /// What a bias is multiplied with in a bucket's scores (n).
  package var weights: UnsafePointer<Float> { UnsafePointer(normalSums) }

  /// Makes the buckets for t (M, H), with their rows and without items. `key`: one that no other block's draws have.
  package func begin(_ t: Matrix, _ key: UInt64) {
    bucketCount = Self.bucketCount(loss, rows: t.rows)
    rowCount = Self.rowCount(buckets: bucketCount, rows: t.rows)
    let backend = context.backend
    let normals = Matrix(normals, bucketCount, t.rows)
    for bucket in 0..<bucketCount {
      var sum: Float = 0
      for row in 0..<t.rows {
        let normal = Self.normal(key, bucket: bucket, row: row)
        normals[bucket, row] = normal
        sum += normal
      }
      normalSums[bucket] = sum
    }
    let centers = Matrix(centers, bucketCount, t.columns)
    backend.multiply(normals, transposed: false, t, transposed: false, into: centers, scale: 1, accumulates: false)
    let scoresOfRows = Matrix(scores, bucketCount, t.rows)
    backend.multiply(centers, transposed: false, t, transposed: true, into: scoresOfRows, scale: 1, accumulates: false)
    rowsOfBuckets.begin(limit: rowCount)
    rowsOfBuckets.take(scoresOfRows, first: 0, weights: normalSums, bias: nil)
    search.begin(buckets: bucketCount, items: itemCount)
  }

  // MARK: - With what the buckets have

  /// Loss and gradients, given the buckets.
  package func evaluate(
    _ t: Matrix, _ labels: UnsafePointer<Int32>, tGradient: Matrix?, _ pass: Pass
  ) -> Double {
    let terms = LabelTerms(context, pass)
    for row in 0..<t.rows { (largest[row], bucketOf[row]) = (-1, -1) }
    for bucket in 0..<bucketCount { forward(bucket, t, labels, terms, pass) }
    var sum = 0.0
    for row in 0..<t.rows where bucketOf[row] >= 0 { sum += largest[row] }
    guard let tGradient else { return sum }
    for row in 0..<t.rows { (tGradient.base + row * t.columns).update(repeating: 0, count: t.columns) }
    for bucket in 0..<bucketCount { backward(bucket, t, labels, terms, tGradient, pass) }
    return sum
  }

  private func forward(
    _ bucket: Int, _ t: Matrix, _ labels: UnsafePointer<Int32>, _ terms: LabelTerms, _ pass: Pass
  ) {
    let (members, gathered) = gather(bucket, t, labels, pass)
    let logits = exponentials(of: bucket)
    candidates.logits(gathered, labels: labelsOfRows, into: logits)
    for (index, row) in members.enumerated() {
      softmax.labelLogits[index] = terms.logit(t.base + Int(row) * t.stride, label: labels[Int(row)])
    }
    _ = softmax.forward(logits, context.backend)
    for (index, row) in members.enumerated() {
      savedFactors[bucket * rowCount + index] = softmax.factors[index]
      savedSlopes[bucket * rowCount + index] = softmax.labelSlopes[index]
      let loss = softmax.losses[index]
      // Not finite counts as largest: it must be seen.
      if !(loss <= largest[Int(row)]) { (largest[Int(row)], bucketOf[Int(row)]) = (loss, Int32(bucket)) }
    }
  }

  private func backward(
    _ bucket: Int, _ t: Matrix, _ labels: UnsafePointer<Int32>, _ terms: LabelTerms, _ tGradient: Matrix, _ pass: Pass
  ) {
    let (members, gathered) = gather(bucket, t, labels, pass)
    let gradient = Matrix(rowGradient, rowCount, t.columns)
    for (index, row) in members.enumerated() {
      softmax.factors[index] = bucketOf[Int(row)] == bucket ? savedFactors[bucket * rowCount + index] : 0
    }
    candidates.backward(exponentials(of: bucket), factors: softmax.factors, gathered, tGradient: gradient)
    candidates.scatter(pass)
    for (index, row) in members.enumerated() where bucketOf[Int(row)] == bucket {
      let place = tGradient.base + Int(row) * t.columns
      place.update(from: gradient.base + index * t.columns, count: t.columns)
      terms.backward(
        t.base + Int(row) * t.stride, label: labels[Int(row)], slope: savedSlopes[bucket * rowCount + index], tGradient: place)
    }
  }

  /// Copies the rows, labels and items of a bucket together.
  private func gather(
    _ bucket: Int, _ t: Matrix, _ labels: UnsafePointer<Int32>, _ pass: Pass
  ) -> (members: UnsafeBufferPointer<Int32>, rows: Matrix) {
    let (members, items) = (rowsOfBuckets.list(bucket), search.found(bucket).items)
    for (index, row) in members.enumerated() {
      (rows + index * t.columns).update(from: t.base + Int(row) * t.stride, count: t.columns)
      labelsOfRows[index] = labels[Int(row)]
    }
    for (index, item) in items.enumerated() { candidates.ids[index] = item }
    candidates.gather(itemCount, pass)
    return (members, Matrix(rows, rowCount, t.columns))
  }

  private func exponentials(of bucket: Int) -> Matrix {
    let stride = CandidateRows.stride(itemCount)
    return Matrix(exponentials + bucket * rowCount * stride, rowCount, itemCount, stride: stride)
  }

  /// A standard normal number, by Box and Muller.
  package static func normal(_ key: UInt64, bucket: Int, row: Int) -> Float {
    let words = KeyedRandom.block(seed: key, .buckets, UInt32(bucket), UInt64(row), 1)
    // (0, 1]: its logarithm is finite.
    let uniform = (Double(words[0]) + 1) / 4_294_967_296
    let turns = Double(words[1]) / 4_294_967_296
    return Float((-2 * PortableMath.log(uniform)).squareRoot() * PortableMath.cosineAndSine(turns: turns).cosine)
  }
}

extension NegativeKey {
  /// Of a block's buckets, by its first instance.
  package func ofBuckets(_ block: Block) -> UInt64 {
    KeyedRandom.bits64(seed: seed, .buckets, 0, UInt64(step), UInt32(bitPattern: block.places[0]))
  }
}
