import Collectives
import SystemSupport

/// What every rank tells the others after each step: 64 bytes. From the same records all ranks take the same decision at the same
/// step.
struct StepRecord: BitwiseCopyable {
  /// Updates done.
  var step: Int64 = 0
  /// Whether this rank was asked to stop (1) by a signal.
  var stop: UInt32 = 0
  private var reserved: UInt32 = 0
  /// Of the step.
  var seconds: Double = 0
  private var spare: (UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0)

  init() {}

  init(step: Int, stop: Bool, seconds: Double) {
    self.step = Int64(step)
    self.stop = stop ? 1 : 0
    self.seconds = seconds
  }
}

/// The exchange of the records. Allocates nothing.
final class StepRecords {
  private let communicator: any Communicator
  private let own: UnsafeMutableBufferPointer<StepRecord>
  private let all: UnsafeMutableBufferPointer<StepRecord>

  init(_ communicator: any Communicator) {
    precondition(MemoryLayout<StepRecord>.size == 64)
    self.communicator = communicator
    own = .allocate(capacity: 1)
    all = .allocate(capacity: communicator.size)
    own.initialize(repeating: StepRecord())
    all.initialize(repeating: StepRecord())
  }

  deinit {
    own.deallocate()
    all.deallocate()
  }

  /// Whether any rank was asked to stop. A rank at another step than the others is a fault that must not go on.
  func exchange(_ record: StepRecord) throws(Failure) -> Bool {
    own[0] = record
    try communicator.allGather(UnsafeRawBufferPointer(own), into: UnsafeMutableRawBufferPointer(all))
    var stops = false
    for rank in 0..<all.count {
      if all[rank].step != record.step {
        throw communicator.shared(
          Failure(
            .internalFault,
            "the ranks are not at the same step (rank 0 has done \(all[0].step), rank \(rank) \(all[rank].step)): "
              + "this is a fault of the program or of the network; start again from the last checkpoint"))
      }
      stops = stops || all[rank].stop != 0
    }
    return stops
  }
}
