import Communication
import SystemSupport

extension ModelState {
  /// The state to train from on every rank: the initial one, which each makes for itself, or rank 0's, which has loaded it.
  func share(isInitial: Bool, seed: UInt64, _ communicator: any Communicator) throws(CollectiveFailure) {
    let buffers = [parameters, firstMoment, secondMoment]
    if isInitial {
      for buffer in buffers { buffer.update(repeating: 0) }
      initialize(seed: seed)
      (step, skippedSteps) = (0, 0)
      return
    }
    step = try communicator.broadcast(step)
    skippedSteps = try communicator.broadcast(skippedSteps)
    for buffer in buffers { try communicator.broadcastBytes(UnsafeMutableRawBufferPointer(buffer)) }
  }
}
