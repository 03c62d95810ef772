import Collectives
import SystemSupport

/// Whether all ranks still hold the same model. They compute the same updates for themselves, so a difference means that a memory
/// or a processor has failed (or that a library is not what it says).
package enum ReplicaComparison {
  private static let same: UInt8 = 0
  private static let drifted: UInt8 = 1

  /// Collective. Compares SHA-256 of parameters and moments; names by `log` each rank that differs from rank 0, and gives
  /// it rank 0's state. Returns whether all were the same.
  ///
  /// Exit code 70, on every rank, where rank 0 itself is the odd one out: the others agree and outnumber those that agree with
  /// it, so what rank 0 would write is not to be trusted.
  @discardableResult
  package static func run(
    _ state: ModelState, communicator: any Communicator, log: (String) -> Void
  ) throws(Failure) -> Bool {
    if communicator.size == 1 { return true }
    var hasher = SHA256Hasher()
    let buffers = [state.parameters, state.firstMoment, state.secondMoment]
    for buffer in buffers { hasher.update(UnsafeRawBufferPointer(buffer)) }
    let all = try communicator.gather(Array("\(hasher.hexDigest()) \(communicator.hostName)".utf8))
      .map { String(decoding: $0, as: UTF8.self).split(separator: " ", maxSplits: 1) }
    let outcome = try communicator.fromRankZero { () throws(Failure) in
      let odd = all.indices.filter { all[$0].first != all[0].first }
      if odd.isEmpty { return [same] }
      let largest = Dictionary(grouping: odd) { all[$0].first }.values.map(\.count).max() ?? 0
      if largest > all.count - odd.count {
        throw Failure(
          .internalFault,
          "the replica of rank 0 on host \(host(all[0])) differs from those of \(largest) other ranks, which agree, at step "
            + "\(state.step): its memory or processor is not to be trusted. Nothing was saved since the last comparison. Leave that "
            + "host out and run the same command again: it goes on from the last checkpoint.")
      }
      for rank in odd {
        log(
          "warning: the replica of rank \(rank) on host \(host(all[rank])) differs from rank 0's at step \(state.step) and is set right "
            + "from it: the memory or processor there may be failing")
      }
      return [drifted]
    }
    if outcome == [same] { return true }
    for buffer in buffers { try communicator.broadcast(UnsafeMutableRawBufferPointer(buffer)) }
    return false
  }

  private static func host(_ words: [Substring]) -> Substring { words.count > 1 ? words[1] : "?" }
}
