import Glibc
import SystemSupport

/// A run of one process, without MPI.
public final class SoloCommunicator: Communicator {
  public let rank = 0
  public let size = 1
  public let hosts = [currentHostName()]
  public var watch: (any LeaveTakingWatch)?

  public init() {}

  public func broadcastBytes(_ bytes: UnsafeMutableRawBufferPointer) throws(CollectiveFailure) {}

  public func broadcastBytes(_ bytes: UnsafeMutableRawBufferPointer, among takesPart: Bool) throws(CollectiveFailure) {}

  public func gatherBytes(_ bytes: [UInt8]) throws(CollectiveFailure) -> [[UInt8]] { [bytes] }

  public func scatterBytes(_ parts: [[UInt8]]) throws(CollectiveFailure) -> [UInt8] { parts[0] }

  public func allGatherRecords(
    _ record: UnsafeRawBufferPointer, into records: UnsafeMutableRawBufferPointer
  ) throws(CollectiveFailure) {
    precondition(records.count == record.count)
    records.copyMemory(from: record)
  }

  public func waitForAll() throws(CollectiveFailure) {}

  public func sumInAnyOrder(_ values: UnsafeMutableBufferPointer<Float>) throws(CollectiveFailure) {}

  public func exchange(
    _ send: UnsafePointer<Float>, _ sendBlocks: BlockLayout,
    into receive: UnsafeMutablePointer<Float>, _ receiveBlocks: BlockLayout
  ) throws(CollectiveFailure) {
    receive.update(from: send, count: sendBlocks.total)
  }

  public func allGatherBlocks(
    _ own: UnsafePointer<Float>, into all: UnsafeMutablePointer<Float>, _ blocks: BlockLayout
  ) throws(CollectiveFailure) {
    all.update(from: own, count: blocks.total)
  }

  public func finish() throws(CollectiveFailure) { watch?.stop() }

  public func abort(_ exitCode: ExitCode) -> Never { exit(exitCode.rawValue) }
}
