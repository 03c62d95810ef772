import BERT4RecModel
import GradientSum

/// The gradient of a step over all ranks: a flat buffer, or one of what stands beside the table, and rows of the table: those that the
/// step touched, or all of a rank.
package struct SummedGradient {
  /// Of `layout`, or of its `besidesTable`.
  private let values: UnsafePointer<Float>
  /// H numbers and the bias each.
  package let rows: RowList?
  let own: OwnGradient?
  private let layout: ParameterLayout

  package init(_ values: UnsafePointer<Float>, _ layout: ParameterLayout, rows: RowList? = nil) {
    self.values = values
    self.rows = rows
    self.layout = layout
    own = nil
  }

  init(_ values: UnsafePointer<Float>, _ layout: ParameterLayout, own: OwnGradient) {
    self.values = values
    self.own = own
    self.layout = layout
    rows = nil
  }

  /// Where the elements of a range stand that is beside the table, or of the rank's own rows, or of their biases.
  func place(_ range: Range<Int>) -> UnsafePointer<Float> {
    let beside = layout.besidesTable
    guard let own else { return values + range.lowerBound }
    if range.lowerBound < beside.lowerBound { return UnsafePointer(own.words + (range.lowerBound - own.rows.lowerBound * own.hidden)) }
    if range.lowerBound < beside.upperBound { return placeBeside(range) }
    return UnsafePointer(own.biases + (range.lowerBound - beside.upperBound - own.rows.lowerBound))
  }

  /// Where they stand of a range beside the table, in a buffer that has nothing else.
  private func placeBeside(_ range: Range<Int>) -> UnsafePointer<Float> { values + (range.lowerBound - layout.besidesTable.lowerBound) }

  /// The elements of a range of the flat buffer, where they stand or gathered in `scratch`, which holds as many. Nil where all are 0,
  /// since no row of the range is touched.
  package func elements(_ range: Range<Int>, scratch: UnsafeMutablePointer<Float>) -> UnsafePointer<Float>? {
    guard let rows else { return place(range) }
    let beside = layout.besidesTable
    if range.lowerBound >= beside.lowerBound && range.upperBound <= beside.upperBound { return placeBeside(range) }
    var isZero = true
    scratch.update(repeating: 0, count: range.count)
    let hidden = rows.width - 1
    // The table's part: rows may begin before the range and end behind it.
    let table = range.clamped(to: 0..<beside.lowerBound)
    if !table.isEmpty {
      var index = rows.firstIndex(from: table.lowerBound / hidden)
      while index < rows.count && Int(rows.ids[index]) * hidden < table.upperBound {
        let first = Int(rows.ids[index]) * hidden
        for element in (first..<first + hidden).clamped(to: table) {
          scratch[element - range.lowerBound] = rows.values[index * rows.width + element - first]
        }
        isZero = false
        index += 1
      }
    }
    let own = range.clamped(to: beside)
    if !own.isEmpty {
      (scratch + (own.lowerBound - range.lowerBound)).update(from: placeBeside(own), count: own.count)
      isZero = false
    }
    let biases = range.clamped(to: beside.upperBound..<layout.count)
    if !biases.isEmpty {
      var index = rows.firstIndex(from: biases.lowerBound - beside.upperBound)
      while index < rows.count && Int(rows.ids[index]) + beside.upperBound < biases.upperBound {
        scratch[Int(rows.ids[index]) + beside.upperBound - range.lowerBound] = rows.values[index * rows.width + hidden]
        isZero = false
        index += 1
      }
    }
    return isZero ? nil : UnsafePointer(scratch)
  }
}
