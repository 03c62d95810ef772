/// Dropout of one site: which elements of which rows are dropped is a pure function of the row's key and the element.
package struct RowDropout {
  /// A key per row; nil where nothing is dropped.
  package let rowKeys: UnsafePointer<UInt64>?
  package let rate: DropoutRate

  package init(rowKeys: UnsafePointer<UInt64>?, rate: DropoutRate) {
    self.rowKeys = rowKeys
    self.rate = rate
  }

  package static var none: RowDropout { RowDropout(rowKeys: nil, rate: .none) }
}

/// A dropout probability in 16-bit steps. What is kept is scaled by the quantised probability, so that the mean is exact.
package struct DropoutRate: Equatable, Sendable {
  /// An element is dropped when its 16-bit number is below this.
  package let threshold: UInt32

  package init(_ probability: Double) { threshold = UInt32((probability * 65536).rounded()) }

  package static let none = DropoutRate(0)

  package var scale: Float { 65536 / Float(65536 - threshold) }
}

extension RowDropout {
  /// What an element is multiplied by: 0 or the scale.
  package func factor(_ row: Int, _ element: Int) -> Double {
    guard let rowKeys, rate.threshold > 0 else { return 1 }
    return DropoutBits.value(rowKey: rowKeys[row], element: element) < rate.threshold ? 0 : Double(rate.scale)
  }
}
