import BERT4RecModel
import CBuildFacts
import CKernels
import Communication

/// What this program is, for messages, checkpoints and the check that all ranks run the same one.
package enum ProgramVersion {
  package static let current = "0.1.0"

  /// Changes whenever the same configuration would give other bits: gradient shards' cut, row chunk, vocabulary tile, block rows,
  /// dropout bits, random generator, order of parameters, order of operations in a kernel. Kept in trainer.json; a run is
  /// resumed under its own only.
  ///
  /// 2: products of our own on all processors, every fused multiply-add written out, no function of the C library; Adam's 0.1 and
  /// 0.001. 3: exponentials of the full loss under their tile's own maximum, products with a whole tile; a bucket's items of sce in ascending
  /// order.
  package static func numerics(_ loss: LossKind) -> Int {
    switch loss {
    case .full, .sce: 3
    case .sampled, .gbce: 2
    }
  }

  /// The same of all losses, in words.
  static let numericsOfLosses = LossKind.allCases.map { "\($0.rawValue) \(numerics($0))" }.joined(separator: ", ")

  /// For --version and bug reports: the version with its commit, then what it was built with and what it runs on.
  package static var description: String {
    """
    \(current) (commit \(String(cString: build_commit())), numerics: \(numericsOfLosses))
    \(String(cString: build_compiler())); \(MPICommunicator.libraryVersion); \(OpenBLASBackend.description); \
    kernels \(kernels)
    """
  }

  /// The clone of our kernels that runs on this processor, such as "x86-64-v4".
  package static var kernels: String { String(cString: kernel_set_best().pointee.name) }

  /// What computes on this machine: with `native` the clone of our kernels changes nothing but speed, with `openblas` all of this
  /// decides about the last bits.
  package static func arithmetic(_ backend: BackendChoice) -> String {
    let kernels = "kernels \(kernels)"
    return backend.resolved == .native ? "native (\(kernels))" : "openblas (\(OpenBLASBackend.description); \(kernels))"
  }
}
