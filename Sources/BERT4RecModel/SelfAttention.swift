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

  /// What the forward pass leaves for the backward pass of the same block.
  package struct Activations {
    let input: Matrix  // x (T, H)
    let queryRows: Matrix  // x_R (R, H)
    package let context: Matrix  // (R, H)
    let rate: DropoutRate
  }

  /// Takes x (T, H) and its query rows (R, H), which must stay until `backward`; overwrites the context (R, H).
  package func forward(_ block: Block, x: Matrix, queryRows: Matrix, _ pass: Pass) -> Activations {
    let (hidden, backend) = (context.configuration.hiddenSize, context.backend)
    let all = Matrix(projected, block.tokenCount, 3 * hidden)
    let dense = pass[offsets.queryKeyValue]
    switch rows {
    case .all:
      backend.project(x, dense.weight, bias: dense.bias, into: all)
    case .masked:
      let (query, keyAndValue) = (dense.outputs(0..<hidden), dense.outputs(hidden..<3 * hidden))
      backend.project(x, keyAndValue.weight, bias: keyAndValue.bias, into: all.columns(hidden..<3 * hidden))
      backend.project(queryRows, query.weight, bias: query.bias, into: Matrix(queries, block.maskedCount, hidden))
    }
    let result = Matrix(output, rows.count(block), hidden)
    context.clock.enter(.attention)
    forEachHead(block, pass.dropout) { head in
      backend.attend(
        head.operands, probabilities: head.probabilities, context: head.view(of: result), dropout: head.dropout,
        scratch: head.scores(scratch.dropped))
    }
    context.clock.enter(.dense)
    return Activations(input: x, queryRows: queryRows, context: result, rate: pass.dropout == nil ? .none : rate)
  }

  /// Mirror image: from the gradient of the context (R, H). xGradient (T, H) and queryRowsGradient (R, H) are the same matrix
  /// when all rows are queries. The queries' share is added to queryRowsGradient, which holds the residual's; the keys' and
  /// values' share overwrites xGradient with masked rows and is added to it otherwise.
  package func backward(
    _ block: Block, _ activations: Activations, contextGradient: Matrix, xGradient: Matrix, queryRowsGradient: Matrix,
    _ pass: Pass
  ) {
    let (hidden, backend) = (context.configuration.hiddenSize, context.backend)
    let all = Matrix(scratch.projectedGradient, block.tokenCount, 3 * hidden)
    let queryGradient =
      rows == .all ? all.columns(0..<hidden) : Matrix(scratch.queryGradient, block.maskedCount, hidden)
    context.clock.enter(.attention)
    forEachHead(block, nil) { head in
      backend.attendBackward(
        head.operands, probabilities: head.probabilities, contextGradient: head.view(of: contextGradient),
        rate: activations.rate,
        gradients: AttentionHead(
          query: head.view(of: queryGradient), key: head.keyView(of: all, part: 1),
          value: head.keyView(of: all, part: 2)),
        scratch: (head.scores(scratch.scoreGradient), head.scores(scratch.dropped)))
    }
    context.clock.enter(.dense)
    let (dense, gradients) = (pass[offsets.queryKeyValue], pass.gradients(offsets.queryKeyValue))
    /// The share of some of the projection's outputs.
    func project(
      _ gradient: Matrix, outputs: Range<Int>, x: Matrix, xGradient: Matrix, accumulates: Bool
    ) {
      let part = gradients.outputs(outputs)
      backend.addColumnSums(of: gradient, to: part.bias)
      backend.projectBackward(
        gradient, x: x, dense.outputs(outputs).weight, xGradient: xGradient, accumulates: accumulates,
        weightGradient: part.weight)
    }
    switch rows {
    case .all:
      project(all, outputs: 0..<3 * hidden, x: activations.input, xGradient: xGradient, accumulates: true)
    case .masked:
      project(
        all.columns(hidden..<3 * hidden), outputs: hidden..<3 * hidden, x: activations.input, xGradient: xGradient,
        accumulates: false)
      project(
        queryGradient, outputs: 0..<hidden, x: activations.queryRows, xGradient: queryRowsGradient, accumulates: true)
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
