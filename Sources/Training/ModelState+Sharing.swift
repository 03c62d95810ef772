import BERT4RecModel
import Checkpoints
import Communication
import SystemSupport

/// A state on several ranks, whole on each or with a table whose rows belong to them: how rank 0 reads and writes it for checkpoints, and
/// how it comes to all.
extension ModelState {
  /// The state to train from on every rank: the initial one, which each makes for itself, or rank 0's, which has loaded it.
  func share(isInitial: Bool, seed: UInt64, _ communicator: any Communicator) throws(CollectiveFailure) {
    if isInitial {
      (step, skippedSteps) = (0, 0)
      if let table {
        table.begin { initialize(seed: seed, elements: $0) }
        return
      }
      for buffer in [parameters, firstMoment, secondMoment] { buffer.update(repeating: 0) }
      initialize(seed: seed)
      return
    }
    step = try communicator.broadcast(step)
    skippedSteps = try communicator.broadcast(skippedSteps)
    for buffer in StateBuffer.allCases { try share(buffer, communicator) }
  }

  /// What rank 0 has of a buffer, on all ranks; of a sharded table its owners have got the rows already (`overwrite`).
  func share(_ buffer: StateBuffer, _ communicator: any Communicator) throws(CollectiveFailure) {
    let elements = elements(buffer)
    let shared = table == nil ? elements : UnsafeMutableBufferPointer(rebasing: elements[layout.besidesTable])
    try communicator.broadcastBytes(UnsafeMutableRawBufferPointer(shared))
  }

  /// Collective. Rank 0 runs `work`, in which it may `read` and `overwrite` this state, and makes no collective calls besides; the others
  /// wait without using their cores. Every rank returns rank 0's value, or throws rank 0's failure.
  func fromRankZero<Value: Communicable>(
    _ communicator: any Communicator, _ work: () throws(ProgramFailure) -> Value
  ) throws(CollectiveFailure) -> Value {
    if let table { return try table.fromRankZero(work) }
    return try communicator.fromRankZero(work)
  }

  /// On rank 0. Calls `take` with the whole buffer or, of a sharded table, with one part of it after the other.
  func read(_ buffer: StateBuffer, _ take: (UnsafeBufferPointer<Float>) throws(ProgramFailure) -> Void) throws(ProgramFailure) {
    let elements = UnsafeBufferPointer(elements(buffer))
    guard let table else { return try take(elements) }
    try table.read(buffer.rawValue) { (range) throws(ProgramFailure) in try take(UnsafeBufferPointer(rebasing: elements[range])) }
  }

  /// On rank 0. Calls `fill`, which writes these elements of the buffer, for all of it: at once or, of a sharded table, part after part.
  func overwrite(_ buffer: StateBuffer, _ fill: (Range<Int>) throws(ProgramFailure) -> Void) throws(ProgramFailure) {
    guard let table else { return try fill(0..<layout.count) }
    try table.overwrite(buffer.rawValue, fill)
  }
}
