import Glibc
import SystemSupport

/// A run of one process, without MPI.
package final class SoloCommunicator: Communicator {
  package let rank = 0
  package let size = 1
  package let hosts = [currentHostName()]
  package var watch: (any LeaveTakingWatch)?

  package init() {}

  package func broadcastBytes(_ bytes: UnsafeMutableRawBufferPointer) throws(CollectiveFailure) {}

  package func broadcastBytes(_ bytes: UnsafeMutableRawBufferPointer, among takesPart: Bool) throws(CollectiveFailure) {}

  package func gatherBytes(_ bytes: [UInt8]) throws(CollectiveFailure) -> [[UInt8]] { [bytes] }

  package func scatterBytes(_ parts: [[UInt8]]) throws(CollectiveFailure) -> [UInt8] { parts[0] }

  package func allGatherRecords(
    _ record: UnsafeRawBufferPointer, into records: UnsafeMutableRawBufferPointer
  ) throws(CollectiveFailure) {
    precondition(records.count == record.count)
    records.copyMemory(from: record)
  }

  package func waitForAll() throws(CollectiveFailure) {}

  package func sumInAnyOrder(_ values: UnsafeMutableBufferPointer<Float>) throws(CollectiveFailure) {}

  package func exchange(
    _ send: UnsafePointer<Float>, _ sendBlocks: BlockLayout,
    into receive: UnsafeMutablePointer<Float>, _ receiveBlocks: BlockLayout
  ) throws(CollectiveFailure) {
    receive.update(from: send, count: sendBlocks.total)
  }

  package func allGatherBlocks(
    _ own: UnsafePointer<Float>, into all: UnsafeMutablePointer<Float>, _ blocks: BlockLayout
  ) throws(CollectiveFailure) {
    all.update(from: own, count: blocks.total)
  }

  package func finish() throws(CollectiveFailure) { watch?.stop() }

  package func abort(_ exitCode: ProgramExitCode) -> Never { exit(exitCode.rawValue) }
}
