import SystemSupport

/// A gradient of a rank's own, neighbouring rows of the table and of their biases.
final class OwnGradient: @unchecked Sendable {
  let rows: Range<Int>
  let hidden: Int
  private let memory: AlignedMemory
  let words: UnsafeMutablePointer<Float>  // (rows, H)
  let biases: UnsafeMutablePointer<Float>  // (rows)

  init(rows: Range<Int>, hidden: Int) throws(ProgramFailure) {
    self.rows = rows
    self.hidden = hidden
    memory = try AlignedMemory(byteCount: max(1, rows.count * (hidden + 1)) * MemoryLayout<Float>.stride, for: "the gradients")
    words = memory.elements(Float.self).start
    biases = words + rows.count * hidden
  }

  func set(_ items: Range<Int>, words: UnsafePointer<Float>, biases: UnsafePointer<Float>) {
    let first = items.lowerBound - rows.lowerBound
    (self.words + first * hidden).update(from: words, count: items.count * hidden)
    (self.biases + first).update(from: biases, count: items.count)
  }
}
