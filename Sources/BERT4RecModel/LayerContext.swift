/// What every layer is given once: the model's shape, where its parameters stand, what to compute with, and the largest block.
package struct LayerContext {
  package let configuration: ModelConfiguration
  package let layout: ParameterLayout
  package let backend: any Backend
  package let workspace: Workspace
  /// Most rows (tokens) of a block.
  package let rowCapacity: Int
  /// Most tokens of one instance: what attention's memory, a square of it, depends on.
  package let longestInstance: Int
  /// Without, there is no backward pass, and nothing is kept for one.
  package let trains: Bool
  package let clock: PhaseClock
  /// Without a backward pass all layers write what they would keep for it into the same place.
  private let unread: (norm: NormState, derivative: UnsafeMutablePointer<Float>)?

  /// - Parameter longestInstance: nil where nothing but the model's own limit is known.
  package init(
    configuration: ModelConfiguration, backend: any Backend, workspace: Workspace, rowCapacity: Int,
    longestInstance: Int? = nil, trains: Bool = true, clock: PhaseClock = PhaseClock()
  ) {
    self.configuration = configuration
    layout = ParameterLayout(configuration)
    self.backend = backend
    self.workspace = workspace
    self.rowCapacity = rowCapacity
    self.longestInstance = longestInstance ?? configuration.maximumSequenceLength
    self.trains = trains
    self.clock = clock
    unread =
      trains
      ? nil
      : (
        Self.norm(workspace, rows: rowCapacity, columns: configuration.hiddenSize),
        workspace.floats(rowCapacity * max(configuration.hiddenSize, configuration.intermediateSize))
      )
  }

  private static func norm(_ workspace: Workspace, rows: Int, columns: Int) -> NormState {
    NormState(normalized: workspace.floats(rows * columns), inverseDeviation: workspace.floats(rows))
  }

  package func norm() -> NormState {
    unread?.norm ?? Self.norm(workspace, rows: rowCapacity, columns: configuration.hiddenSize)
  }

  /// An activation's derivative (rowCapacity, columns), of H or I columns.
  package func derivative(columns: Int) -> UnsafeMutablePointer<Float> {
    unread?.derivative ?? workspace.floats(rowCapacity * columns)
  }

  /// (rowCapacity, H)
  package func hiddenRows() -> UnsafeMutablePointer<Float> { workspace.floats(rowCapacity * configuration.hiddenSize) }

  /// Memory that the backward pass alone uses: next to none where there is no such pass.
  package func backwardFloats(_ count: Int) -> UnsafeMutablePointer<Float> { workspace.floats(trains ? count : 0) }

  /// (rowCapacity, H), for the backward pass alone.
  package func backwardRows() -> UnsafeMutablePointer<Float> { backwardFloats(rowCapacity * configuration.hiddenSize) }
}

/// What a pass works with: parameters, where gradients are added, and the dropout key (nil: no dropout).
package struct Pass {
  package let parameters: UnsafePointer<Float>
  /// Flat, as the parameters; nil in a forward pass alone.
  package let gradients: UnsafeMutablePointer<Float>?
  package let dropout: DropoutKey?

  package init(parameters: UnsafePointer<Float>, gradients: UnsafeMutablePointer<Float>?, dropout: DropoutKey?) {
    self.parameters = parameters
    self.gradients = gradients
    self.dropout = dropout
  }

  /// Where a backward pass adds the gradient of the parameter at `offset`.
  package func gradient(_ offset: Int) -> UnsafeMutablePointer<Float> {
    guard let gradients else { preconditionFailure("a backward pass needs gradients") }
    return gradients + offset
  }

  package func weight(_ offset: Int, _ rows: Int, _ columns: Int) -> Matrix {
    Matrix(parameters + offset, rows, columns)
  }
}

/// The rows of a block that a layer computes: all tokens, or in the last layer the masked ones alone, since nobody reads the
/// others. Exact: the other rows' outputs would reach no loss.
package enum QueryRows {
  case all, masked

  package func count(_ block: Block) -> Int { self == .all ? block.tokenCount : block.maskedCount }

  package func range(_ block: Block, _ instance: Int) -> Range<Int> {
    self == .all ? block.tokenRange(instance) : block.maskedRange(instance)
  }

  /// The block's token row of the index-th computed row.
  package func tokenRow(_ block: Block, _ index: Int) -> Int { self == .all ? index : block.maskedRow(index) }

  /// Writes the dropout keys of these rows at a site.
  package func fillKeys(
    _ keys: UnsafeMutablePointer<UInt64>, _ block: Block, _ dropout: DropoutKey, _ site: DropoutSite
  ) {
    for instance in 0..<block.instanceCount {
      let siteKey = dropout.site(site, place: block.places[instance])
      let start = block.tokenRange(instance).lowerBound
      for row in range(block, instance) {
        keys[row] = DropoutKey.row(site: siteKey, position: tokenRow(block, row) - start)
      }
    }
  }
}

/// Dropout of rows at one site: keys made in the forward pass are used again in the backward pass.
package struct RowDropoutKeys {
  private let keys: UnsafeMutablePointer<UInt64>
  private let rate: DropoutRate
  private let site: DropoutSite

  package init(_ context: LayerContext, site: DropoutSite, probability: Double) {
    keys = context.workspace.keys(context.rowCapacity)
    rate = DropoutRate(probability)
    self.site = site
  }

  package func forward(_ block: Block, _ rows: QueryRows, _ pass: Pass) -> RowDropout {
    guard let dropout = pass.dropout, rate.threshold > 0 else { return .none }
    rows.fillKeys(keys, block, dropout, site)
    return RowDropout(rowKeys: keys, rate: rate)
  }

  package func backward(_ pass: Pass) -> RowDropout {
    pass.dropout != nil && rate.threshold > 0 ? RowDropout(rowKeys: keys, rate: rate) : .none
  }
}
