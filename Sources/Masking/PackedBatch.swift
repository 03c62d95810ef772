/// Instances without padding: the concatenation of their real tokens.
///
/// Letters: B instances, T tokens, M masked rows. `offsets` cuts the tokens into instances, `maskedOffsets` the masked rows.
/// A token's position is its distance from its instance's offset.
///
/// All lists stand in one piece of memory, which is used again when the batch is emptied and filled.
public struct PackedBatch: Sendable {
  /// How much room there is for each list.
  private struct Capacity: Equatable {
    var instances = 0
    var tokens = 0
    var masked = 0

    /// (T), (M), (M), (B), (B + 1), (B + 1)
    var total: Int { tokens + 2 * masked + 3 * instances + 2 }
    var maskedRows: Int { tokens }
    var labels: Int { tokens + masked }
    var places: Int { tokens + 2 * masked }
    var offsets: Int { tokens + 2 * masked + instances }
    var maskedOffsets: Int { tokens + 2 * masked + 2 * instances + 1 }
  }

  private var numbers = [Int32](repeating: 0, count: Capacity().total)
  private var capacity = Capacity()
  /// How many instances: B.
  public private(set) var instanceCount = 0
  /// How many tokens: T.
  public private(set) var tokenCount = 0
  /// How many masked rows: M.
  public private(set) var maskedCount = 0

  /// No instances.
  public init() {}

  /// (T)
  public var tokens: [Int32] { list(0, tokenCount) }
  /// (B + 1)
  public var offsets: [Int32] { list(capacity.offsets, instanceCount + 1) }
  /// Rows of `tokens` whose item is to be predicted, ascending; (M).
  public var maskedRows: [Int32] { list(capacity.maskedRows, maskedCount) }
  /// (B + 1)
  public var maskedOffsets: [Int32] { list(capacity.maskedOffsets, instanceCount + 1) }
  /// The item that stood at each masked row; (M).
  public var labels: [Int32] { list(capacity.labels, maskedCount) }
  /// The instance's place in the global batch: part of the key of its dropout decisions; (B).
  public var places: [Int32] { list(capacity.places, instanceCount) }

  private func list(_ start: Int, _ count: Int) -> [Int32] { Array(numbers[start..<(start + count)]) }

  /// The rows of an instance's tokens.
  public func tokenRange(of instance: Int) -> Range<Int> {
    precondition(instance >= 0 && instance < instanceCount)
    return Int(numbers[capacity.offsets + instance])..<Int(numbers[capacity.offsets + instance + 1])
  }

  /// The lists where they stand.
  public struct Lists {
    /// Tokens, instance after instance (T).
    public let tokens: UnsafePointer<Int32>
    /// Where each instance's tokens begin, and the end (B + 1).
    public let offsets: UnsafePointer<Int32>
    /// Rows of `tokens` that are predicted (M).
    public let maskedRows: UnsafePointer<Int32>
    /// Where each instance's masked rows begin, and the end (B + 1).
    public let maskedOffsets: UnsafePointer<Int32>
    /// What stood there (M).
    public let labels: UnsafePointer<Int32>
    /// Each instance's place in the global batch (B).
    public let places: UnsafePointer<Int32>
  }

  /// Calls `body` with the lists, which must not be used afterwards. Copies nothing.
  public func withLists<R>(_ body: (Lists) -> R) -> R {
    numbers.withUnsafeBufferPointer { numbers in
      guard let base = numbers.baseAddress else { preconditionFailure("there is room for two offsets at least") }
      return body(
        Lists(
          tokens: base, offsets: base + capacity.offsets, maskedRows: base + capacity.maskedRows,
          maskedOffsets: base + capacity.maskedOffsets, labels: base + capacity.labels, places: base + capacity.places))
    }
  }

  /// Empties the batch and keeps its memory, so that refilling it allocates nothing.
  public mutating func removeAll() { (instanceCount, tokenCount, maskedCount) = (0, 0, 0) }

  /// Adds a token to the instance under construction. With a label, the token's row is one to predict.
  public mutating func append(token: Int32, label: Int32? = nil) {
    if let label {
      if maskedCount == capacity.masked { grow { $0.masked = max(16, 2 * $0.masked) } }
      numbers[capacity.maskedRows + maskedCount] = Int32(truncatingIfNeeded: tokenCount)
      numbers[capacity.labels + maskedCount] = label
      maskedCount += 1
    }
    if tokenCount == capacity.tokens { grow { $0.tokens = max(64, 2 * $0.tokens) } }
    numbers[tokenCount] = token
    tokenCount += 1
  }

  /// Closes the instance under construction.
  public mutating func endInstance(place: Int) {
    if instanceCount == capacity.instances { grow { $0.instances = max(8, 2 * $0.instances) } }
    numbers[capacity.places + instanceCount] = Int32(place)
    instanceCount += 1
    numbers[capacity.offsets + instanceCount] = Int32(tokenCount)
    numbers[capacity.maskedOffsets + instanceCount] = Int32(maskedCount)
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

  private mutating func grow(_ change: (inout Capacity) -> Void) {
    var wider = capacity
    change(&wider)
    var moved = [Int32](repeating: 0, count: wider.total)
    func move(_ place: KeyPath<Capacity, Int>, _ count: Int) {
      let (from, to) = (capacity[keyPath: place], wider[keyPath: place])
      moved.replaceSubrange(to..<(to + count), with: numbers[from..<(from + count)])
    }
    moved.replaceSubrange(0..<tokenCount, with: numbers[0..<tokenCount])
    for list in [\Capacity.maskedRows, \.labels] { move(list, maskedCount) }
    move(\.places, instanceCount)
    for list in [\Capacity.offsets, \.maskedOffsets] { move(list, instanceCount + 1) }
    (numbers, capacity) = (moved, wider)
  }
}

extension PackedBatch: Equatable {
  /// By what is in them, however much room they have.
  public static func == (a: PackedBatch, b: PackedBatch) -> Bool {
    a.tokens == b.tokens && a.offsets == b.offsets && a.maskedRows == b.maskedRows && a.maskedOffsets == b.maskedOffsets
      && a.labels == b.labels && a.places == b.places
  }
}
