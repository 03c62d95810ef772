import SystemSupport

/// Numbers for items by their external ids: a catalogue's own, 1 ..., and above them for ids that the catalogue does not have.
package final class ItemNumbers {
  private let index: ItemIndex
  private var others = IDTable()
  /// Items of the catalogue: greater numbers are of no item that it has.
  package let catalogueCount: Int

  package init(_ catalogue: ExternalIDs) {
    index = ItemIndex(catalogue)
    catalogueCount = catalogue.count
  }

  /// The same number whenever it is asked for. Throws `badData` where there are more ids than numbers.
  package func number(_ id: ArraySlice<UInt8>) throws(ProgramFailure) -> Int32 {
    if let item = index.item(id) { return item }
    guard let other = id.withUnsafeBytes({ others.intern($0) }), Int(other) < Int(Int32.max) - 8 - catalogueCount else {
      throw ProgramFailure(.badData, "more than 2 billion distinct items")
    }
    return Int32(catalogueCount + 1) + other
  }

  package func isKnown(_ number: Int32) -> Bool { Int(number) <= catalogueCount }
}
