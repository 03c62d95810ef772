/// Some rows of the tied table, gathered so that they can be multiplied as a matrix, and the gradients that they get.
///
/// Letters: C candidates, R rows of t, H hidden. One after the other: `gather`, then for some rows `logits`, then with what has become
/// of them `backward`, then `scatter`, once.
package final class CandidateRows {
  private let context: LayerContext
  /// The candidates' rows in the table.
  package let ids: UnsafeMutablePointer<Int32>  // (C)
  /// Added to a candidate's logit besides its bias.
  package let corrections: UnsafeMutablePointer<Float>  // (C)
  private let table: UnsafeMutablePointer<Float>  // (C, H)
  private let bias: UnsafeMutablePointer<Float>  // (C)
  private let tableGradient: UnsafeMutablePointer<Float>  // (C, H)
  private let biasGradient: UnsafeMutablePointer<Float>  // (C)
  private let scaledRows: UnsafeMutablePointer<Float>  // (R, H)
  private var count = 0
  private var hasGradient = false

  package init(_ context: LayerContext, capacity: Int, rowCapacity: Int) {
    self.context = context
    let hidden = context.configuration.hiddenSize
    ids = context.workspace.indices(capacity)
    corrections = context.workspace.floats(capacity)
    table = context.workspace.floats(capacity * hidden)
    bias = context.workspace.floats(capacity)
    tableGradient = context.workspace.floats(capacity * hidden)
    biasGradient = context.workspace.floats(capacity)
    scaledRows = context.workspace.floats(rowCapacity * hidden)
  }

  /// Floats between rows of a matrix of C logits, as the kernels of the softmax like them.
  package static func stride(_ count: Int) -> Int { paddedColumns(count) + 16 }

  /// Copies the rows of `ids` and their biases.
  package func gather(_ count: Int, _ pass: Pass) {
    self.count = count
    hasGradient = false
    let (layout, hidden) = (context.layout, context.configuration.hiddenSize)
    let (words, biases) = (pass.parameters + layout.wordEmbeddings, pass.parameters + layout.predictionBias)
    for index in 0..<count {
      let row = Int(ids[index])
      (table + index * hidden).update(from: words + row * hidden, count: hidden)
      bias[index] = biases[row] + corrections[index]
    }
  }

  /// logits (R, C) = t tableᵀ + bias + corrections, where a candidate is the row's label -infinity.
  package func logits(_ t: Matrix, labels: UnsafePointer<Int32>, into logits: Matrix) {
    context.backend.project(t, Matrix(table, count, t.columns), bias: bias, into: logits)
    for row in 0..<t.rows {
      let (label, values) = (labels[row], logits.base + row * logits.stride)
      for index in 0..<count where ids[index] == label { values[index] = -.infinity }
    }
  }

  /// From slopes (R, C) and factors (R), whose product is the logits' gradient: tGradient (R, H), contiguous, = factors slopes table;
  /// the candidates' gradients += slopesᵀ (factors t) and slopesᵀ factors.
  package func backward(_ slopes: Matrix, factors: UnsafePointer<Float>, _ t: Matrix, tGradient: Matrix) {
    let backend = context.backend
    let scaled = Matrix(scaledRows, t.rows, t.columns)
    backend.multiply(
      slopes, transposed: false, Matrix(table, count, t.columns), transposed: false, into: tGradient, scale: 1,
      accumulates: false)
    backend.multiplyRows(tGradient, by: factors, into: tGradient.base)
    backend.multiplyRows(t, by: factors, into: scaledRows)
    backend.multiply(
      slopes, transposed: true, scaled, transposed: false, into: Matrix(tableGradient, count, t.columns), scale: 1,
      accumulates: hasGradient)
    if !hasGradient { biasGradient.update(repeating: 0, count: count) }
    backend.addWeightedColumnSums(of: slopes, weights: factors, to: biasGradient)
    hasGradient = true
  }

  /// Adds the candidates' gradients to the table's, one after the other: a row may be there more than once.
  package func scatter(_ pass: Pass) {
    let (layout, hidden) = (context.layout, context.configuration.hiddenSize)
    if let touched = pass.rows {
      for index in 0..<count {
        let row = touched.row(ids[index])
        add(tableGradient + index * hidden, to: row, count: hidden)
        row[hidden] += biasGradient[index]
      }
      return
    }
    let (words, biases) = (pass.gradient(layout.wordEmbeddings), pass.gradient(layout.predictionBias))
    for index in 0..<count {
      let row = Int(ids[index])
      add(tableGradient + index * hidden, to: words + row * hidden, count: hidden)
      biases[row] += biasGradient[index]
    }
  }
}

/// The labels' own logits and their gradients, row by row.
package struct LabelTerms {
  private let words: UnsafePointer<Float>  // (V, H)
  private let biases: UnsafePointer<Float>  // (V)
  private let pass: Pass
  private let layout: ParameterLayout
  private let hidden: Int

  package init(_ context: LayerContext, _ pass: Pass) {
    (layout, hidden) = (context.layout, context.configuration.hiddenSize)
    self.pass = pass
    words = pass.parameters + layout.wordEmbeddings
    biases = pass.parameters + layout.predictionBias
  }

  /// t · E[label] + b[label], added in double, in order.
  package func logit(_ t: UnsafePointer<Float>, label: Int32) -> Float {
    let word = words + Int(label) * hidden
    var sum = 0.0
    for column in 0..<hidden { sum += Double(t[column]) * Double(word[column]) }
    return Float(sum) + biases[Int(label)]
  }

  /// tGradient (H) += slope E[label], the label's row and bias += slope t and slope.
  package func backward(
    _ t: UnsafePointer<Float>, label: Int32, slope: Float, tGradient: UnsafeMutablePointer<Float>
  ) {
    let word = words + Int(label) * hidden
    for column in 0..<hidden { tGradient[column] += slope * word[column] }
    let touched = pass.rows?.row(label)
    let wordGradient = touched ?? pass.gradient(layout.wordEmbeddings) + Int(label) * hidden
    let biasGradient = touched.map { $0 + hidden } ?? pass.gradient(layout.predictionBias) + Int(label)
    for column in 0..<hidden { wordGradient[column] += slope * t[column] }
    biasGradient.pointee += slope
  }
}

/// into[i] += values[i].
@inline(__always)
func add(_ values: UnsafePointer<Float>, to into: UnsafeMutablePointer<Float>, count: Int) {
  for index in 0..<count { into[index] += values[index] }
}
