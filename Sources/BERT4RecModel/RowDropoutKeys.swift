/// Memory for the keys of one site's rows: made in the forward pass, used again in the backward pass.
package struct RowDropoutKeys {
  private let keys: UnsafeMutablePointer<UInt64>
  private let rate: DropoutRate
  private let site: DropoutSite

  package init(_ context: LayerContext, site: DropoutSite, probability: Double) {
    keys = context.workspace.keys(context.rowCapacity)
    rate = DropoutRate(probability)
    self.site = site
  }

  /// The decisions for a block; they live until the next block's.
  package func forward(_ block: Block, _ rows: QueryRows, _ pass: Pass) -> RowDropout {
    guard let dropout = pass.dropout, rate.threshold > 0 else { return .none }
    rows.fillKeys(keys, block, dropout, site)
    return RowDropout(rowKeys: keys, rate: rate)
  }
}
