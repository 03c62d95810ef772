import CKernels

/// Which code multiplies matrices (`backend`).
public enum BackendChoice: String, Sendable, CaseIterable {
  /// `native` where the processor has fused multiply-add (AVX2 and FMA, or 64-bit ARM), else `openblas`.
  case auto
  /// Our own products and fused kernels: the same bits on every processor with fused multiply-add.
  case native
  /// OpenBLAS's products: the same bits on one type of processor.
  case openblas

  /// What runs here: never `auto`.
  public var resolved: BackendChoice { self == .auto ? (Self.runsNative ? .native : .openblas) : self }

  /// Whether `native` gives its bits on this processor.
  public static var runsNative: Bool { kernel_set_best().pointee.has_fma != 0 }

  /// Whether several threads of a process may multiply by OpenBLAS at a time: not in its serial build.
  public static var openBLASTakesThreads: Bool { OpenBLASBackend.build != .serial }

  /// A backend for one thread, which has its own scratch memory.
  package func makeBackend() -> any Backend {
    resolved == .native ? NativeBackend() : OpenBLASBackend()
  }
}
