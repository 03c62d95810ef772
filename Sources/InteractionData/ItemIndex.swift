/// Finds an item's number by its external id.
package struct ItemIndex: Sendable {
  private final class Table: @unchecked Sendable {
    let ids: IDTable
    init(_ ids: consuming IDTable) { self.ids = ids }
  }

  /// Never changed once built.
  private let table: Table
  /// The item of each distinct id: without duplicates it is the id's place + 1.
  private let items: [Int32]

  /// Item `i` has the id at index `i - 1`; the first one counts where an id is given twice.
  package init(_ ids: ExternalIDs) {
    var table = IDTable(count: ids.count)
    var items: [Int32] = []
    items.reserveCapacity(ids.count)
    ids.withBytes { bytes in
      // A large table is not in the cache: places are asked for ahead.
      let ahead = 16
      for index in 0..<ids.count {
        if index + ahead < ids.count { table.expect(bytes(index + ahead)) }
        let before = table.count
        _ = table.intern(bytes(index))
        if table.count > before { items.append(Int32(index + 1)) }
      }
    }
    self.table = Table(table)
    self.items = items
  }

  /// How many distinct ids there are.
  package var count: Int { items.count }

  /// The item (1 ...) with an id, or nil.
  package func item(_ externalID: ArraySlice<UInt8>) -> Int32? { externalID.withUnsafeBytes { find($0) } }

  package func item(_ externalID: some Collection<UInt8>) -> Int32? {
    externalID.withContiguousStorageIfAvailable { find(UnsafeRawBufferPointer($0)) }
      ?? Array(externalID).withUnsafeBytes { find($0) }
  }

  /// The same, of bytes that stand anywhere.
  func item(_ id: UnsafeRawBufferPointer) -> Int32? { find(id) }

  private func find(_ id: UnsafeRawBufferPointer) -> Int32? { table.ids.number(of: id).map { items[Int($0)] } }
}
