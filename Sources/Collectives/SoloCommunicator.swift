import SystemSupport

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// A run of one process, without MPI.
public final class SoloCommunicator: Communicator {
  public let rank = 0
  public let size = 1
  public let hostName = currentHostName()
  public var sharedFailure: Failure?
  public var watchdog: Watchdog?

  public init() {}

  public func broadcast(_ bytes: UnsafeMutableRawBufferPointer) throws(Failure) {}

  public func broadcast(_ bytes: UnsafeMutableRawBufferPointer, among takesPart: Bool) throws(Failure) {}

  public func gather(_ bytes: [UInt8]) throws(Failure) -> [[UInt8]] { [bytes] }

  public func scatter(_ parts: [[UInt8]]) throws(Failure) -> [UInt8] { parts[0] }

  public func allGather(_ record: UnsafeRawBufferPointer, into records: UnsafeMutableRawBufferPointer) throws(Failure) {
    precondition(records.count == record.count)
    records.copyMemory(from: record)
  }

  public func waitForAll() throws(Failure) {}

  public func sumInAnyOrder(_ values: UnsafeMutableBufferPointer<Float>) throws(Failure) {}

  public func exchange(
    _ send: UnsafePointer<Float>, _ sendBlocks: BlockLayout,
    into receive: UnsafeMutablePointer<Float>, _ receiveBlocks: BlockLayout
  ) throws(Failure) {
    receive.update(from: send, count: sendBlocks.total)
  }

  public func allGather(
    _ own: UnsafePointer<Float>, into all: UnsafeMutablePointer<Float>, _ blocks: BlockLayout
  ) throws(Failure) {
    all.update(from: own, count: blocks.total)
  }

  public func finish() throws(Failure) { watchdog?.stop() }

  public func abort(_ exitCode: ExitCode) -> Never { exit(exitCode.rawValue) }
}
