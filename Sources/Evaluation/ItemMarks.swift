/// A set of small whole numbers (item ids) that is emptied in O(1): a number is in it when its stamp is the current
/// one.
package struct ItemMarks: Sendable {
  private var stamps: [UInt32]
  private var current: UInt32 = 1

  /// For numbers in `0 ..< count`.
  package init(count: Int) { stamps = [UInt32](repeating: 0, count: count) }

  package mutating func removeAll() {
    if current == .max {
      for index in stamps.indices { stamps[index] = 0 }
      current = 0
    }
    current += 1
  }

  /// True when it was not there before.
  @discardableResult
  package mutating func insert(_ number: Int) -> Bool {
    if stamps[number] == current { return false }
    stamps[number] = current
    return true
  }

  package func contains(_ number: Int) -> Bool { stamps[number] == current }
}
