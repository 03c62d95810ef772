import Collectives
import SystemSupport

extension ModelState {
  /// Collective. The state to train from on every rank: the initial one, which each makes for itself, or rank 0's, which has loaded it.
  func share(isInitial: Bool, seed: UInt64, _ communicator: any Communicator) throws(Failure) {
    let buffers = [parameters, firstMoment, secondMoment]
    if isInitial {
      for buffer in buffers { buffer.update(repeating: 0) }
      initialize(seed: seed)
      (step, skippedSteps) = (0, 0)
      return
    }
    let steps = try communicator.broadcastArray([step, skippedSteps])
    (step, skippedSteps) = (steps[0], steps[1])
    for buffer in buffers { try communicator.broadcast(UnsafeMutableRawBufferPointer(buffer)) }
  }
}
