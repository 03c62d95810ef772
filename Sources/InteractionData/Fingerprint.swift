import SystemSupport

/// What tells data sets apart: SHA-256 over a canonical stream of everything that training and evaluation read. The
/// same whether a data set was read from the user's files or from a prepared folder.
package enum Fingerprint {
  /// The stream, all numbers little-endian (as on every platform that Swift has on Linux): a title line; items, users
  /// and interactions (Int64); item counts (Int64); offsets (Int64); values (Int32); then for items and for users the
  /// ids' ends (Int64, ids + 1, from 0) and bytes.
  package static func compute(
    itemIDs: ExternalIDs, itemCounts: [Int64], userIDs: ExternalIDs, sequences: Sequences
  ) -> String {
    var hasher = SHA256Hasher()
    hasher.update(Array("bert4rec-dist data set 1\n".utf8))
    let sizes = [Int64(itemCounts.count), Int64(sequences.userCount), Int64(sequences.interactionCount)]
    sizes.withUnsafeBytes { hasher.update($0) }
    itemCounts.withUnsafeBytes { hasher.update($0) }
    sequences.withStorage { offsets, values in
      hasher.update(UnsafeRawBufferPointer(offsets))
      hasher.update(UnsafeRawBufferPointer(values))
    }
    for ids in [itemIDs, userIDs] {
      let (ends, bytes) = ids.storage
      ends.withUnsafeBytes { hasher.update($0) }
      bytes.withUnsafeBytes { hasher.update($0) }
    }
    return hasher.hexDigest()
  }
}
