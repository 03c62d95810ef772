/// Instances without padding: the concatenation of their real tokens.
///
/// Letters: B instances, T tokens, M masked rows. `offsets` cuts the tokens into instances, `maskedOffsets` the masked rows.
/// A token's position is its distance from its instance's offset.
public struct PackedBatch: Sendable, Equatable {
  public private(set) var tokens: [Int32] = []  // (T)
  public private(set) var offsets: [Int32] = [0]  // (B + 1)
  /// Rows of `tokens` whose item is to be predicted, ascending.
  public private(set) var maskedRows: [Int32] = []  // (M)
  public private(set) var maskedOffsets: [Int32] = [0]  // (B + 1)
  /// The item that stood at each masked row.
  public private(set) var labels: [Int32] = []  // (M)
  /// The instance's place in the global batch: part of the key of its dropout decisions.
  public private(set) var places: [Int32] = []  // (B)

  public init() {}

  public var instanceCount: Int { places.count }
  public var tokenCount: Int { tokens.count }
  public var maskedCount: Int { maskedRows.count }

  /// Empties the batch and keeps its memory, so that refilling it allocates nothing.
  public mutating func removeAll() {
    tokens.removeAll(keepingCapacity: true)
    offsets.removeAll(keepingCapacity: true)
    offsets.append(0)
    maskedRows.removeAll(keepingCapacity: true)
    maskedOffsets.removeAll(keepingCapacity: true)
    maskedOffsets.append(0)
    labels.removeAll(keepingCapacity: true)
    places.removeAll(keepingCapacity: true)
  }

  public mutating func reserve(instances: Int, tokens tokenCapacity: Int, masked: Int) {
    tokens.reserveCapacity(tokenCapacity)
    offsets.reserveCapacity(instances + 1)
    maskedRows.reserveCapacity(masked)
    maskedOffsets.reserveCapacity(instances + 1)
    labels.reserveCapacity(masked)
    places.reserveCapacity(instances)
  }

  /// Adds a token to the instance under construction. With a label, the token's row is one to predict.
  @inlinable
  public mutating func append(token: Int32, label: Int32? = nil) {
    if let label { markMasked(label: label) }
    appendToken(token)
  }

  @usableFromInline mutating func appendToken(_ token: Int32) { tokens.append(token) }

  @usableFromInline mutating func markMasked(label: Int32) {
    maskedRows.append(Int32(truncatingIfNeeded: tokens.count))
    labels.append(label)
  }

  /// Closes the instance under construction.
  public mutating func endInstance(place: Int) {
    offsets.append(Int32(tokens.count))
    maskedOffsets.append(Int32(maskedRows.count))
    places.append(Int32(place))
  }

  /// Adds what the model is asked at inference: the last `maximumLength - 1` items of a history, then `[MASK]`, whose row is
  /// the one to predict.
  public mutating func appendQuery(
    history: UnsafeBufferPointer<Int32>, maximumLength: Int, mask: Int32, label: Int32 = 0, place: Int
  ) {
    for item in history.suffix(maximumLength - 1) { append(token: item) }
    append(token: mask, label: label)
    endInstance(place: place)
  }
}
