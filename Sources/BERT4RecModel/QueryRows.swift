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
