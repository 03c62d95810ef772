import Masking

/// The whole model: embeddings, encoder layers, prediction head and masked-item loss, forward and backward.
///
/// One implementation over any backend. Each thread has an encoder of its own (its workspace), all read the same parameters.
/// Batches are packed; the last layer computes masked rows only.
package final class BidirectionalEncoder {
  /// Tokens that go through the encoder at once (whole instances; a longer one goes alone). Shapes the order of additions, so it
  /// is part of `numericsVersion`.
  package static let blockRows = 1024

  package let configuration: ModelConfiguration
  package let layout: ParameterLayout
  /// Where this encoder's time goes.
  package let clock: PhaseClock
  private let workspace: Workspace
  private let backend: any Backend
  private let blockRows: Int
  private let embeddings: Embeddings
  private let layers: [EncoderLayer]
  private let head: PredictionHead
  private let loss: Loss?
  /// Most tokens of an instance that it has memory for.
  package let longestInstance: Int
  /// What the layers' forward passes left, in order; its memory is used again.
  private var activations: [EncoderLayer.Activations] = []
  private let gradientA: UnsafeMutablePointer<Float>  // (T, H)
  private let gradientB: UnsafeMutablePointer<Float>  // (T, H)
  /// What `encode` leaves for `backward`.
  private var encoded: (embedded: Embeddings.Activations, projected: PredictionHead.Activations)?

  /// - Parameters:
  ///   - blockRows: tokens that go through at once; tests take fewer, to have several blocks.
  ///   - workspace: an empty one, which becomes this encoder's own.
  ///   - purpose: for scoring it has no memory for a loss, which grows with the vocabulary, nor for a backward pass.
  ///   - longestInstance: most tokens of an instance; nil where nothing but the model's own limit is known.
  ///   - sampler: of the losses that draw.
  ///   - clock: of encoders that a thread has several of.
  package init(
    _ configuration: ModelConfiguration, backend: any Backend, blockRows: Int = BidirectionalEncoder.blockRows,
    workspace: Workspace = Workspace(), purpose: Purpose = .training, longestInstance: Int? = nil,
    loss lossConfiguration: LossConfiguration = LossConfiguration(), sampler: RowSampler? = nil, clock: PhaseClock = PhaseClock()
  ) {
    precondition(configuration.layerCount > 0 && configuration.hiddenSize % configuration.headCount == 0)
    self.configuration = configuration
    self.backend = backend
    self.workspace = workspace
    self.blockRows = blockRows
    self.clock = clock
    let longest = min(longestInstance ?? .max, configuration.maximumSequenceLength)
    self.longestInstance = longest
    let context = LayerContext(
      configuration: configuration, backend: backend, workspace: workspace, rowCapacity: max(blockRows, longest),
      longestInstance: longest, trains: purpose != .scoring, clock: clock)
    layout = context.layout
    embeddings = Embeddings(context)
    let scratch = EncoderLayer.Scratch(context)
    let last = configuration.layerCount - 1
    layers = (0...last).map {
      EncoderLayer(context, layer: $0, rows: $0 == last ? .masked : .all, scratch: scratch)
    }
    head = PredictionHead(context)
    loss = purpose == .training ? Loss(context, lossConfiguration, sampler) : nil
    activations.reserveCapacity(configuration.layerCount)
    gradientA = context.backwardRows()
    gradientB = context.backwardRows()
  }

  package convenience init(_ configuration: ModelConfiguration, backend: BackendChoice = .auto) {
    self.init(configuration, backend: backend.makeBackend())
  }

  /// Bytes of its buffers.
  package var workspaceBytes: Int { workspace.byteCount }

  /// The sum of the masked items' cross entropies. With `gradients` (flat, as `layout`) adds the sum's gradient there, or overwrites
  /// what is there with it.
  ///
  /// - Parameters:
  ///   - dropout: nil switches dropout off.
  ///   - negatives: what the losses that draw depend on.
  ///   - rows: receives the gradients of the table and its biases; `gradients` is then `layout.besidesTable` alone. Not for the full loss.
  package func loss(
    _ batch: PackedBatch, parameters: UnsafePointer<Float>, gradients: UnsafeMutablePointer<Float>?,
    overwrites: Bool = false, dropout: DropoutKey?, negatives: NegativeKey? = nil
  ) -> Double {
    self.loss(
      batch, parameters: parameters, gradients: gradients, overwrites: overwrites, dropout: dropout, negatives: negatives, rows: nil)
  }

  package func loss(
    _ batch: PackedBatch, parameters: UnsafePointer<Float>, gradients: UnsafeMutablePointer<Float>?,
    overwrites: Bool = false, dropout: DropoutKey?, negatives: NegativeKey?, rows: RowGradients?
  ) -> Double {
    guard let loss = self.loss else { preconditionFailure("an encoder without a loss") }
    let pass = Pass(parameters: parameters, gradients: gradients, dropout: dropout, negatives: negatives, rows: rows, layout: layout)
    precondition(rows == nil || !loss.reachesTable, "all rows of the table")
    if overwrites { rows?.removeAll() }
    // The full loss's gradient of the table is written by the first block that has one, not cleared before.
    var overwritesTable = overwrites && batch.maskedCount > 0 && loss.reachesTable
    if overwrites, let gradients {
      let cleared =
        rows != nil
        ? 0..<layout.besidesTable.count : overwritesTable ? layout.afterWordEmbeddings..<layout.predictionBias : 0..<layout.count
      (gradients + cleared.lowerBound).update(repeating: 0, count: cleared.count)
    }
    var sum = 0.0
    batch.forEachBlock(rows: blockRows) { block in
      if block.maskedCount == 0 { return }
      let (embedded, projected) = forward(block, pass)
      let tGradient = gradients == nil ? nil : Matrix(gradientA, block.maskedCount, configuration.hiddenSize)
      clock.enter(.head)
      sum += loss(
        projected.output, block, tGradient: tGradient, overwritesTable: overwritesTable, pass)
      overwritesTable = false
      if let tGradient { backward(block, embedded, projected, tGradient, pass) }
      clock.enter(nil)
    }
    return sum
  }

  /// One of the losses.
  private enum Loss {
    case full(MaskedItemLoss)
    case negatives(NegativeLoss)
    case buckets(BucketLoss)

    init(_ context: LayerContext, _ configuration: LossConfiguration, _ sampler: RowSampler?) {
      switch configuration.kind {
      case .full: self = .full(MaskedItemLoss(context))
      case .sampled, .gbce: self = .negatives(NegativeLoss(context, configuration, sampler))
      case .sce: self = .buckets(BucketLoss(context, configuration))
      }
    }

    /// Whether every row of the table gets a gradient.
    var reachesTable: Bool { if case .full = self { true } else { false } }

    func callAsFunction(
      _ t: Matrix, _ block: Block, tGradient: Matrix?, overwritesTable: Bool, _ pass: Pass
    ) -> Double {
      switch self {
      case .full(let loss): loss(t, labels: block.labels, tGradient: tGradient, overwritesTable: overwritesTable, pass)
      case .negatives(let loss): loss(t, block, tGradient: tGradient, pass)
      case .buckets(let loss): loss(t, block, tGradient: tGradient, pass)
      }
    }
  }

  // MARK: - For a loss that is elsewhere

  /// t (M, H) of a block with masked rows, which stays, with all that `backward` needs, until the next call.
  package func encode(_ block: Block, parameters: UnsafePointer<Float>, dropout: DropoutKey?) -> Matrix {
    let encoded = forward(block, Pass(parameters: parameters, gradients: nil, dropout: dropout))
    self.encoded = encoded
    clock.enter(nil)
    return encoded.projected.output
  }

  /// For the block that was encoded last: takes the gradient of t (M, H), which it overwrites, adds the gradients of what stands beside
  /// the table, and overwrites `tokenRows` (T, H) with those that the tokens' rows of the table get, one after the other.
  package func backward(
    _ block: Block, tGradient: Matrix, parameters: UnsafePointer<Float>, gradients: UnsafeMutablePointer<Float>, dropout: DropoutKey?,
    tokenRows: UnsafeMutablePointer<Float>
  ) {
    guard let encoded else { preconditionFailure("a block is encoded first") }
    let pass = Pass(parameters: parameters, gradients: gradients, dropout: dropout, tokenRows: tokenRows, layout: layout)
    backward(block, encoded.embedded, encoded.projected, tGradient, pass)
    clock.enter(nil)
  }

  /// Of the block that was encoded last, whose items have to be found elsewhere; with the loss `sce`.
  package var buckets: BucketLoss {
    guard case .buckets(let loss)? = loss else { preconditionFailure("buckets are those of sce") }
    return loss
  }

  /// For the block that was encoded last, whose buckets have their items: its loss. Adds the gradients of what stands beside the table to
  /// `gradients` and those of the table to `rows`.
  package func backward(
    _ block: Block, parameters: UnsafePointer<Float>, gradients: UnsafeMutablePointer<Float>, dropout: DropoutKey?, rows: RowGradients
  ) -> Double {
    guard let encoded else { preconditionFailure("a block is encoded first") }
    let pass = Pass(parameters: parameters, gradients: gradients, dropout: dropout, rows: rows, layout: layout)
    let tGradient = Matrix(gradientA, block.maskedCount, configuration.hiddenSize)
    clock.enter(.head)
    let sum = buckets.evaluate(encoded.projected.output, block.labels, tGradient: tGradient, pass)
    backward(block, encoded.embedded, encoded.projected, tGradient, pass)
    clock.enter(nil)
    return sum
  }

  /// Writes the logits (M, V) of the batch's masked rows, without dropout.
  package func logits(
    _ batch: PackedBatch, parameters: UnsafePointer<Float>, into logits: UnsafeMutablePointer<Float>
  ) {
    let pass = Pass(parameters: parameters, gradients: nil, dropout: nil)
    let (hidden, vocabulary) = (configuration.hiddenSize, configuration.vocabularySize)
    forEachProjectedBlock(batch, pass) { t, row in
      let result = Matrix(logits + row * vocabulary, t.rows, vocabulary)
      let table = Matrix(parameters + layout.wordEmbeddings, vocabulary, hidden)
      backend.project(t, table, bias: parameters + layout.predictionBias, into: result)
    }
  }

  /// Writes t (M, H), what the tied projection reads, of the batch's masked rows, without dropout: logits are t Eᵀ + b.
  package func projectionRows(
    _ batch: PackedBatch, parameters: UnsafePointer<Float>, into rows: UnsafeMutablePointer<Float>
  ) {
    let hidden = configuration.hiddenSize
    forEachProjectedBlock(batch, Pass(parameters: parameters, gradients: nil, dropout: nil)) { t, row in
      (rows + row * hidden).update(from: t.base, count: t.rows * hidden)
    }
  }

  /// Calls `body` with t (M, H) of each block that has masked rows, and the number of such rows before it.
  private func forEachProjectedBlock(_ batch: PackedBatch, _ pass: Pass, _ body: (_ t: Matrix, _ row: Int) -> Void) {
    var row = 0
    batch.forEachBlock(rows: blockRows) { block in
      if block.maskedCount == 0 { return }
      body(forward(block, pass).projected.output, row)
      row += block.maskedCount
    }
  }

  private func forward(
    _ block: Block, _ pass: Pass
  ) -> (embedded: Embeddings.Activations, projected: PredictionHead.Activations) {
    clock.enter(.embedding)
    let embedded = embeddings.forward(block, pass)
    clock.enter(.dense)
    activations.removeAll(keepingCapacity: true)
    var x = embedded.output
    for layer in layers {
      activations.append(layer.forward(block, x: x, pass))
      x = activations[activations.count - 1].output
    }
    return (embedded, head.forward(x, pass))
  }

  private func backward(
    _ block: Block, _ embedded: Embeddings.Activations, _ projected: PredictionHead.Activations, _ tGradient: Matrix,
    _ pass: Pass
  ) {
    let hidden = configuration.hiddenSize
    var gradient = Matrix(gradientB, block.maskedCount, hidden)
    var next = gradientA
    clock.enter(.dense)
    head.backward(projected, tGradient, yGradient: gradient, pass)
    for index in layers.indices.reversed() {
      let xGradient = Matrix(next, block.tokenCount, hidden)
      layers[index].backward(block, activations[index], gradient, xGradient: xGradient, pass)
      next = gradient.base
      gradient = xGradient
    }
    clock.enter(.embedding)
    embeddings.backward(block, embedded, gradient, pass)
  }
}
