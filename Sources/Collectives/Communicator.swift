import SystemSupport

/// The ranks of a run, as everything above this module sees them. All calls are collective: every rank makes them in the same
/// order. Only the thread that made the communicator may call it.
public protocol Communicator: AnyObject {
  /// 0 ..< size; rank 0 owns the disk and the terminal.
  var rank: Int { get }
  var size: Int { get }
  var hostName: String { get }

  /// Overwrites `bytes` on every rank with rank 0's; the count is the same everywhere and may exceed 2^31.
  func broadcast(_ bytes: UnsafeMutableRawBufferPointer) throws(Failure)

  /// Every rank's bytes, in rank order, on rank 0; an empty array elsewhere. Counts may differ between ranks.
  func gather(_ bytes: [UInt8]) throws(Failure) -> [[UInt8]]

  /// Every rank's record in rank order, on every rank: `records.count == size * record.count`. Allocates nothing.
  func allGather(_ record: UnsafeRawBufferPointer, into records: UnsafeMutableRawBufferPointer) throws(Failure)

  /// Waits until every rank is here, sleeping in between, so that ranks that wait for rank 0's work leave it the cores.
  func waitForAll() throws(Failure)
}
