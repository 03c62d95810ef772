import Communication
import StallDetection

/// What a rank has of its run besides the run's own subject: the other ranks, what its watchdog sees of it, and where messages go (on
/// rank 0).
package struct RankContext {
  package let communicator: any Communicator
  package let progress: RankProgress
  package let log: (String) -> Void

  package init(_ communicator: any Communicator, progress: RankProgress = RankProgress(), log: @escaping (String) -> Void = { _ in }) {
    self.communicator = communicator
    self.progress = progress
    self.log = log
  }
}
