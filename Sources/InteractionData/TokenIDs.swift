/// The token ids of a catalogue, as the original lays them out (Python 2.7.18's order): 0 padding, 1 ... items, `[MASK]`,
/// `[pad]`, `[NO_USE]`. All rows are ordinary trained rows inside the softmax.
public struct TokenIDs: Sendable, Equatable {
  public let itemCount: Int

  public init(itemCount: Int) { self.itemCount = itemCount }

  public static let padding: Int32 = 0
  public var mask: Int32 { Int32(itemCount + 1) }
  /// Rows of the embedding table: items + 4.
  public var vocabularySize: Int { itemCount + 4 }
}
