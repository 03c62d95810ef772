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

/// A data set as training and evaluation use it.
public struct Dataset: Sendable {
  /// A short name from the file's name, such as "ml-1m"; names the run folder.
  public var name: String
  /// External id of item `i` at index `i - 1`.
  public var itemIDs: ExternalIDs
  /// Occurrences of item `i` in all interactions at index `i - 1`; descending.
  public var itemCounts: [Int64]
  /// External ids of the users, in order of first appearance.
  public var userIDs: ExternalIDs
  /// The users' items, oldest first.
  public var sequences: Sequences
  /// SHA-256 (hex) over everything that training reads: counts, offsets, sequences and ids. Independent of the file's
  /// path.
  public var fingerprint: String

  /// A data set whose fingerprint is known.
  public init(
    name: String, itemIDs: ExternalIDs, itemCounts: [Int64], userIDs: ExternalIDs, sequences: Sequences,
    fingerprint: String
  ) {
    self.name = name
    self.itemIDs = itemIDs
    self.itemCounts = itemCounts
    self.userIDs = userIDs
    self.sequences = sequences
    self.fingerprint = fingerprint
  }

  /// A data set made in memory; its fingerprint is computed.
  public init(
    name: String, itemIDs: ExternalIDs, itemCounts: [Int64], userIDs: ExternalIDs, sequences: Sequences
  ) {
    self.init(
      name: name, itemIDs: itemIDs, itemCounts: itemCounts, userIDs: userIDs, sequences: sequences,
      fingerprint: Fingerprint.compute(
        itemIDs: itemIDs, itemCounts: itemCounts, userIDs: userIDs, sequences: sequences))
  }

  /// How many items the catalogue has.
  public var itemCount: Int { itemCounts.count }
}
