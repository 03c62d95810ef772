/// A view of a row-major matrix; `stride` floats lie between the beginnings of two rows.
package struct Matrix {
  package let base: UnsafeMutablePointer<Float>
  package let rows: Int
  package let columns: Int
  package let stride: Int

  package init(_ base: UnsafeMutablePointer<Float>, _ rows: Int, _ columns: Int, stride: Int? = nil) {
    self.base = base
    self.rows = rows
    self.columns = columns
    self.stride = stride ?? columns
  }

  /// Parameters are only read, but share the view's type.
  package init(_ base: UnsafePointer<Float>, _ rows: Int, _ columns: Int, stride: Int? = nil) {
    self.init(UnsafeMutablePointer(mutating: base), rows, columns, stride: stride)
  }

  package func columns(_ range: Range<Int>) -> Matrix { Matrix(base + range.lowerBound, rows, range.count, stride: stride) }
  package func rows(_ range: Range<Int>) -> Matrix {
    Matrix(base + range.lowerBound * stride, range.count, columns, stride: stride)
  }

  package subscript(row: Int, column: Int) -> Float {
    get { base[row * stride + column] }
    nonmutating set { base[row * stride + column] = newValue }
  }
}
