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
