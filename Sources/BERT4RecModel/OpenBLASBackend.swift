import CKernels
import COpenBLAS

/// Every product is cblas_sgemm; all else is the kernels' of this processor. The same bits on one type of processor and version of
/// OpenBLAS only.
package final class OpenBLASBackend: KernelBackend, @unchecked Sendable {
  package let kernels = kernel_set_best()

  package init() { openblas_set_num_threads(1) }

  package func multiply(
    _ a: Matrix, transposed transposesA: Bool, _ b: Matrix, transposed transposesB: Bool, into c: Matrix, scale: Float,
    accumulates: Bool
  ) {
    let inner = transposesA ? a.rows : a.columns
    if c.rows == 0 || c.columns == 0 || (inner == 0 && accumulates) { return }
    // Ranks and our own threads use the cores, so OpenBLAS stays at the thread that calls it.
    openblas_keep_to_this_thread()
    cblas_sgemm(
      CblasRowMajor, transposesA ? CblasTrans : CblasNoTrans, transposesB ? CblasTrans : CblasNoTrans,
      Int32(c.rows), Int32(c.columns), Int32(inner), scale, a.base, Int32(a.stride), b.base, Int32(b.stride),
      accumulates ? 1 : 0, c.base, Int32(c.stride))
  }
}

extension OpenBLASBackend {
  /// How the library was built for threads, which decides how it may be used.
  package enum Build: Int32 {
    /// Its locks are left out as well: two threads that call it at the same time get wrong numbers now and then.
    case serial = 0
    case pthread = 1
    /// Ignores openblas_set_num_threads: each thread that calls it must tell OpenMP itself.
    case openMP = 2
  }

  package static var build: Build { Build(rawValue: openblas_get_parallel()) ?? .serial }

  /// OpenBLAS's name for the processor, such as "Zen": it decides which kernels, hence which bits.
  package static var coreType: String { String(cString: openblas_get_corename()) }

  /// Such as "OpenBLAS 0.3.21, pthread, Zen".
  package static var description: String {
    let version = String(cString: openblas_get_config()).split(separator: " ").prefix(2).joined(separator: " ")
    let name =
      switch build {
      case .serial: "serial"
      case .pthread: "pthread"
      case .openMP: "OpenMP"
      }
    return "\(version), \(name), \(coreType)"
  }

  /// c = a b of square matrices by cblas_sgemm itself: the yardstick of `bench`.
  package static func multiplySquares(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, into c: UnsafeMutablePointer<Float>, size: Int
  ) {
    openblas_keep_to_this_thread()
    let n = Int32(size)
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1, a, n, b, n, 0, c, n)
  }
}
