/// The users' item sequences in time order, as one ragged array.
///
/// Items are vocabulary ids, 1 ... item count (0 is the padding id and never stands in a sequence). User `u` owns
/// `values[offsets[u] ..< offsets[u + 1]]`. Immutable; the storage is either owned or a read-only mapping of a prepared file.
public final class Sequences: @unchecked Sendable {
  private let offsets: UnsafeBufferPointer<Int64>  // (users + 1)
  private let values: UnsafeBufferPointer<Int32>  // (interactions)
  /// Frees or unmaps the storage.
  private let release: @Sendable () -> Void

  /// Takes over storage that stays valid until `release` is called.
  package init(
    offsets: UnsafeBufferPointer<Int64>, values: UnsafeBufferPointer<Int32>, release: @escaping @Sendable () -> Void
  ) {
    precondition(!offsets.isEmpty && offsets[0] == 0 && offsets[offsets.count - 1] == Int64(values.count))
    self.offsets = offsets
    self.values = values
    self.release = release
  }

  /// Copies users' items: those of user `u` are `values[offsets[u] ..< offsets[u + 1]]`.
  public convenience init(offsets: [Int64], values: [Int32]) {
    let ownedOffsets = UnsafeMutableBufferPointer<Int64>.allocate(capacity: offsets.count)
    _ = ownedOffsets.initialize(from: offsets)
    let ownedValues = UnsafeMutableBufferPointer<Int32>.allocate(capacity: values.count)
    _ = ownedValues.initialize(from: values)
    nonisolated(unsafe) let (freeOffsets, freeValues) = (ownedOffsets, ownedValues)
    self.init(
      offsets: UnsafeBufferPointer(ownedOffsets), values: UnsafeBufferPointer(ownedValues),
      release: {
        freeOffsets.deallocate()
        freeValues.deallocate()
      })
  }

  /// For tests and small data: one array a user.
  public convenience init(_ sequences: [[Int32]]) {
    var offsets: [Int64] = [0]
    for sequence in sequences { offsets.append(offsets[offsets.count - 1] + Int64(sequence.count)) }
    self.init(offsets: offsets, values: sequences.flatMap { $0 })
  }

  deinit { release() }

  /// How many users.
  public var userCount: Int { offsets.count - 1 }
  /// Items of all users together.
  public var interactionCount: Int { values.count }

  /// Items of a user's sequence.
  public func length(of user: Int) -> Int { Int(offsets[user + 1] - offsets[user]) }

  /// The whole sequence of a user; valid as long as this object.
  public subscript(user: Int) -> UnsafeBufferPointer<Int32> {
    UnsafeBufferPointer(rebasing: values[Int(offsets[user])..<Int(offsets[user + 1])])
  }

  /// The raw storage, for broadcasting and writing: offsets (users + 1), values (interactions).
  package func withStorage<R>(
    _ body: (UnsafeBufferPointer<Int64>, UnsafeBufferPointer<Int32>) throws -> R
  ) rethrows -> R {
    try body(offsets, values)
  }
}
