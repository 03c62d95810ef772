import CKernels
import BERT4RecModel

/// What this program is, for messages, checkpoints and the check that all ranks run the same one.
public enum ProgramVersion {
  public static let current = "0.1.0"

  /// Changes whenever the same configuration would give other bits: gradient shards' cut, row chunk, vocabulary tile, block rows,
  /// dropout bits, random generator, order of parameters. Kept in trainer.json; a run goes on under its own only.
  public static let numerics = 1

  /// CPU-dependent choices that may differ in the last bits: OpenBLAS's core type and the clone of our kernels.
  public static var machine: String { "BLAS \(OpenBLASBackend.coreType), kernels \(String(cString: kernel_clone()))" }
}
