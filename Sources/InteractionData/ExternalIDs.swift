/// Ids as the user's files have them: bytes, not necessarily UTF-8, kept and given back unchanged.
public struct ExternalIDs: Sendable, Equatable {
  private var offsets: [Int] = [0]
  private var bytes: [UInt8] = []

  /// No ids.
  public init() {}

  /// Takes over id `i` at `bytes[offsets[i] ..< offsets[i + 1]]`; `offsets` begin with 0 and ascend to the bytes'
  /// count.
  package init(offsets: [Int], bytes: [UInt8]) {
    precondition(offsets.first == 0 && offsets.last == bytes.count)
    self.offsets = offsets
    self.bytes = bytes
  }

  /// Ids in this order.
  public init<S: Sequence>(_ ids: S) where S.Element == [UInt8] {
    for id in ids { append(id) }
  }

  /// How many ids.
  public var count: Int { offsets.count - 1 }

  /// The bytes of an id.
  public subscript(index: Int) -> ArraySlice<UInt8> { bytes[offsets[index]..<offsets[index + 1]] }

  /// Calls `body` with what gives the bytes of an id by its index, where they stand.
  func withBytes<R>(_ body: ((Int) -> UnsafeRawBufferPointer) -> R) -> R {
    bytes.withUnsafeBytes { bytes in
      offsets.withUnsafeBufferPointer { offsets in
        body { UnsafeRawBufferPointer(rebasing: bytes[offsets[$0]..<offsets[$0 + 1]]) }
      }
    }
  }

  /// Adds an id behind the others.
  public mutating func append(_ id: some Collection<UInt8>) {
    bytes.append(contentsOf: id)
    offsets.append(bytes.count)
  }

  /// The raw storage, for hashing and broadcasting: offsets (ids + 1), bytes.
  package var storage: (offsets: [Int], bytes: [UInt8]) { (offsets, bytes) }
}
