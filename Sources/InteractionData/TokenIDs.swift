/// The token ids of a catalogue, as the original lays them out (Python 2.7.18's order): 0 padding, 1 ... items, `[MASK]`,
/// `[pad]`, `[NO_USE]`. All rows are ordinary trained rows inside the softmax.
package struct TokenIDs: Sendable, Equatable {
  package let itemCount: Int

  package init(itemCount: Int) { self.itemCount = itemCount }

  package static let padding: Int32 = 0
  package var mask: Int32 { Int32(itemCount + 1) }
  /// Rows of the embedding table: items + 4.
  package var vocabularySize: Int { itemCount + 4 }
}
