/// The operands of one head, or their gradients: query (r, d), key and value (n, d).
package struct AttentionHead {
  package let query: Matrix
  package let key: Matrix
  package let value: Matrix

  package init(query: Matrix, key: Matrix, value: Matrix) {
    self.query = query
    self.key = key
    self.value = value
  }

  /// 1 / √d
  package var scale: Float { 1 / Float(key.columns).squareRoot() }
}
