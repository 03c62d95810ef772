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
