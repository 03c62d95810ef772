import BERT4RecModel
import Communication
import SystemSupport

extension RunSettings {
  /// Settles what `backend: auto` means, the same on every rank, and how many threads may use it; refuses what cannot
  /// work. Warns where the ranks' processors would give other bits.
  mutating func settleBackend(_ context: RankContext) throws(CollectiveFailure) {
    let (communicator, log) = (context.communicator, context.log)
    let lacking = try communicator.ranks(where: !BackendChoice.runsNative)
    if backend == .native && !lacking.isEmpty {
      throw .onEveryRank(
        .usage,
        "backend native needs a processor with AVX2 and FMA, which is absent on \(communicator.names(of: lacking)): use "
          + "backend=openblas or auto.")
    }
    if backend == .auto {
      if !lacking.isEmpty && communicator.size > 1 {
        log("backend openblas, since AVX2 and FMA are absent on \(communicator.names(of: lacking))")
      }
      backend = lacking.isEmpty ? .native : .openblas
    }
    guard backend == .openblas else { return }
    let arithmetics = try communicator.holders(of: ProgramVersion.arithmetic(.openblas))
    if arithmetics.count > 1 {
      log(
        "warning: the hosts multiply with different code: \(arithmetics.joined(separator: "; ")). Replicas stay the same, but a run "
          + "on other hosts may differ in the last bits; backend=native, OPENBLAS_CORETYPE set alike everywhere, or hosts of one "
          + "kind avoid that.")
    }
    let serial = try communicator.ranks(where: !BackendChoice.openBLASTakesThreads)
    if serial.isEmpty { return }
    if let threads, threads > 1 {
      throw .onEveryRank(
        .usage,
        "OpenBLAS on \(communicator.names(of: serial)) is its serial build, which gives wrong numbers now and then when two threads "
          + "use it: use --threads 1 and more ranks, backend=native, or the pthread build (Debian: libopenblas0-pthread).")
    }
    threads = 1
  }
}
