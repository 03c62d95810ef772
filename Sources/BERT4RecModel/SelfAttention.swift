/// Multi-head scaled dot-product attention, one instance and head at a time on strided views, so that nothing is padded or copied.
///
/// Letters: T tokens, R query rows (all, or the masked ones in the last layer), H hidden, A heads, d = H / A; an instance has n
/// tokens and r query rows.
///
///     q = x_R Wqᵀ + bq,  k = x Wkᵀ + bk,  v = x Wvᵀ + bv
///     context = dropout(softmax(q kᵀ / √d)) v
package final class SelfAttention {
  private let context: LayerContext
  private let rows: QueryRows
  private let offsets: ParameterLayout.Layer
  private let layer: Int
  private let rate: DropoutRate
  private let projected: UnsafeMutablePointer<Float>  // (T, 3H): q, k, v; q unused with masked rows
  private let queries: UnsafeMutablePointer<Float>  // (R, H), with masked rows
  private let probabilities: UnsafeMutablePointer<Float>  // (r, padded n), signed; in training per instance and head
  private let output: UnsafeMutablePointer<Float>  // (R, H)
  private let keys: UnsafeMutablePointer<UInt64>  // (r)
  private let scratch: Scratch

  /// What all layers may share, since it lives only inside one call.
  package struct Scratch {
    let dropped: UnsafeMutablePointer<Float>  // (r, padded n)
    let scoreGradient: UnsafeMutablePointer<Float>  // (r, padded n)
    let projectedGradient: UnsafeMutablePointer<Float>  // (T, 3H)
    let queryGradient: UnsafeMutablePointer<Float>  // (R, H)

    package init(_ context: LayerContext) {
      let (longest, hidden) = (context.longestInstance, context.configuration.hiddenSize)
      dropped = context.workspace.floats(longest * paddedColumns(longest))
      scoreGradient = context.backwardFloats(longest * paddedColumns(longest))
      projectedGradient = context.backwardFloats(context.rowCapacity * 3 * hidden)
      queryGradient = context.backwardRows()
    }
  }

  package init(_ context: LayerContext, layer: Int, rows: QueryRows, scratch: Scratch) {
    self.context = context
    self.layer = layer
    self.rows = rows
    self.scratch = scratch
    offsets = context.layout.layers[layer]
    rate = DropoutRate(context.configuration.attentionDropout)
    let configuration = context.configuration
    projected = context.workspace.floats(context.rowCapacity * 3 * configuration.hiddenSize)
    queries = rows == .all ? projected : context.hiddenRows()
    // Rows of all instances of a block for the backward pass; without one, those of an instance and head at a time.
    let longest = context.longestInstance
    probabilities = context.workspace.floats(
      (context.trains ? context.rowCapacity * configuration.headCount : longest) * paddedColumns(longest))
    output = context.hiddenRows()
    keys = context.workspace.keys(longest)
  }

  /// Takes x (T, H) and its query rows (R, H); overwrites and returns the context (R, H).
  package func forward(_ block: Block, x: Matrix, queryRows: Matrix, _ pass: Pass) -> Matrix {
    let hidden = context.configuration.hiddenSize
    let all = Matrix(projected, block.tokenCount, 3 * hidden)
    let weight = pass.weight(offsets.queryKeyValueWeight, 3 * hidden, hidden)
    let bias = pass.parameters + offsets.queryKeyValueBias
    switch rows {
    case .all:
      context.backend.project(x, weight, bias: bias, into: all)
    case .masked:
      let keysAndValues = all.columns(hidden..<3 * hidden)
      context.backend.project(x, weight.rows(hidden..<3 * hidden), bias: bias + hidden, into: keysAndValues)
      let queries = Matrix(queries, block.maskedCount, hidden)
      context.backend.project(queryRows, weight.rows(0..<hidden), bias: bias, into: queries)
    }
    let result = Matrix(output, rows.count(block), hidden)
    context.clock.enter(.attention)
    forEachHead(block, pass.dropout) { head in
      context.backend.attend(
        head.operands, probabilities: head.probabilities, context: head.view(of: result), dropout: head.dropout,
        scratch: head.scores(scratch.dropped))
    }
    context.clock.enter(.dense)
    return result
  }

  /// Mirror image: from the gradient of the context (R, H). xGradient (T, H) and queryRowsGradient (R, H) are the same matrix
  /// when all rows are queries. The queries' share is added to queryRowsGradient, which holds the residual's; the keys' and
  /// values' share overwrites xGradient with masked rows and is added to it otherwise.
  package func backward(
    _ block: Block, contextGradient: Matrix, x: Matrix, queryRows: Matrix, xGradient: Matrix, queryRowsGradient: Matrix,
    _ pass: Pass
  ) {
    let hidden = context.configuration.hiddenSize
    let backend = context.backend
    let all = Matrix(scratch.projectedGradient, block.tokenCount, 3 * hidden)
    let queryGradient =
      rows == .all ? all.columns(0..<hidden) : Matrix(scratch.queryGradient, block.maskedCount, hidden)
    context.clock.enter(.attention)
    forEachHead(block, nil) { head in
      backend.attendBackward(
        head.operands, probabilities: head.probabilities, contextGradient: head.view(of: contextGradient),
        rate: pass.dropout == nil ? .none : rate,
        gradients: AttentionHead(
          query: head.view(of: queryGradient), key: head.keyView(of: all, part: 1),
          value: head.keyView(of: all, part: 2)),
        scratch: (head.scores(scratch.scoreGradient), head.scores(scratch.dropped)))
    }
    context.clock.enter(.dense)
    let weight = pass.weight(offsets.queryKeyValueWeight, 3 * hidden, hidden)
    let (weightGradient, biasGradient) = (
      pass.gradient(offsets.queryKeyValueWeight), pass.gradient(offsets.queryKeyValueBias)
    )
    switch rows {
    case .all:
      backend.addColumnSums(of: all, to: biasGradient)
      backend.projectBackward(
        all, x: x, weight, xGradient: xGradient, accumulates: true, weightGradient: weightGradient)
    case .masked:
      let keysAndValues = all.columns(hidden..<3 * hidden)
      backend.addColumnSums(of: keysAndValues, to: biasGradient + hidden)
      backend.projectBackward(
        keysAndValues, x: x, weight.rows(hidden..<3 * hidden), xGradient: xGradient, accumulates: false,
        weightGradient: weightGradient + hidden * hidden)
      backend.addColumnSums(of: queryGradient, to: biasGradient)
      backend.projectBackward(
        queryGradient, x: queryRows, weight.rows(0..<hidden), xGradient: queryRowsGradient, accumulates: true,
        weightGradient: weightGradient)
    }
  }

  /// One instance and head.
  private struct Head {
    let operands: AttentionHead
    let probabilities: Matrix  // (r, n)
    let dropout: RowDropout
    let queryRows: Range<Int>
    let tokenRows: Range<Int>
    let columns: Range<Int>
    let hidden: Int

    /// A scratch (r, n) of the probabilities' shape.
    func scores(_ base: UnsafeMutablePointer<Float>) -> Matrix {
      Matrix(base, probabilities.rows, probabilities.columns, stride: probabilities.stride)
    }

    func view(of matrix: Matrix) -> Matrix { matrix.rows(queryRows).columns(columns) }

    /// The head's columns of keys (part 1) or values (part 2) in (T, 3H).
    func keyView(of matrix: Matrix, part: Int) -> Matrix {
      matrix.rows(tokenRows).columns((part * hidden + columns.lowerBound)..<(part * hidden + columns.upperBound))
    }
  }

  private func forEachHead(_ block: Block, _ dropoutKey: DropoutKey?, _ body: (Head) -> Void) {
    let configuration = context.configuration
    let (hidden, size) = (configuration.hiddenSize, configuration.headSize)
    let all = Matrix(projected, block.tokenCount, 3 * hidden)
    let query = rows == .all ? all.columns(0..<hidden) : Matrix(queries, block.maskedCount, hidden)
    var place = probabilities
    for instance in 0..<block.instanceCount {
      let (tokenRows, queryRows) = (block.tokenRange(instance), rows.range(block, instance))
      if queryRows.isEmpty { continue }
      let stride = paddedColumns(tokenRows.count)
      for head in 0..<configuration.headCount {
        var dropout = RowDropout.none
        if let dropoutKey, rate.threshold > 0 {
          let site = dropoutKey.site(
            .attentionProbabilities(layer: layer, head: head), place: block.places[instance])
          for (index, row) in queryRows.enumerated() {
            keys[index] = DropoutKey.row(site: site, position: rows.tokenRow(block, row) - tokenRows.lowerBound)
          }
          dropout = RowDropout(rowKeys: keys, rate: rate)
        }
        let columns = head * size..<(head + 1) * size
        let tokens = all.rows(tokenRows)
        body(
          Head(
            operands: AttentionHead(
              query: query.rows(queryRows).columns(columns),
              key: tokens.columns((hidden + columns.lowerBound)..<(hidden + columns.upperBound)),
              value: tokens.columns((2 * hidden + columns.lowerBound)..<(2 * hidden + columns.upperBound))),
            probabilities: Matrix(place, queryRows.count, tokenRows.count, stride: stride), dropout: dropout,
            queryRows: queryRows, tokenRows: tokenRows, columns: columns, hidden: hidden))
        if context.trains { place += queryRows.count * stride }
      }
    }
  }
}
