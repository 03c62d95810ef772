import BERT4RecModel
import CKernels
import Communication
import SystemSupport

/// What decides the last bits of a run besides its configuration and the numerics version, for trainer.json: nothing but the backend
/// with our own products summed in the order of the tree; OpenBLAS and the processors where it multiplies; MPI and the number of ranks
/// where MPI_Allreduce adds as it likes.
enum ArithmeticRecord {
  /// The backend is settled. Rank 0's record counts.
  static func make(
    _ configuration: RunConfiguration, _ communicator: any Communicator
  ) throws(CollectiveFailure) -> [String: String] {
    var record = ["backend": configuration.backend.resolved.rawValue]
    if configuration.backend.resolved == .openblas {
      // Of all hosts, in an order that does not depend on which rank is where.
      func ofAllRanks(_ value: String) throws(CollectiveFailure) -> String {
        Set(try communicator.gather(value)).sorted().joined(separator: " and ")
      }
      record["openblas"] = try ofAllRanks(OpenBLASBackend.description)
      record["kernels"] = try ofAllRanks(String(cString: kernel_set_best().pointee.name))
    }
    if configuration.reduction == .fast {
      record["ranks"] = "\(communicator.size)"
      if let library = communicator.library, communicator.size > 1 { record["mpi"] = library }
    }
    return record
  }

  /// How one differs from the other, for a message; nil where it does not, or nothing was recorded.
  static func difference(from recorded: [String: String], to now: [String: String]) -> String? {
    if recorded.isEmpty || recorded == now { return nil }
    return Set(recorded.keys).union(now.keys).sorted().compactMap { key in
      recorded[key] == now[key] ? nil : "\(key) was \(recorded[key] ?? "none") and is \(now[key] ?? "none")"
    }.joined(separator: "; ")
  }
}
