import Glibc

/// Makes the program run where addresses are limited (ulimit -v, many batch systems).
///
/// When OpenBLAS is loaded it starts a thread per core, which this program never uses, and each takes 128 MiB of addresses. Where it
/// cannot have them it asks again for ever, at full speed, and the program would never end. Only its variable in the environment
/// prevents that, and it is read before `main`: so the program restarts itself, once, with the variable set.
enum LimitedAddressSpace {
  private static let variable = "OPENBLAS_NUM_THREADS"

  static func startAnewIfNeeded() {
    // Whoever has set it knows why.
    guard getenv(variable) == nil, isLimited else { return }
    setenv(variable, "1", 1)
    // It returns where there is no /proc: then things stay as they are.
    execv("/proc/self/exe", CommandLine.unsafeArgv)
  }

  static var isLimited: Bool {
    [RLIMIT_AS, RLIMIT_DATA].contains { resource in
      var limit = rlimit()
      return getrlimit(__rlimit_resource_t(resource.rawValue), &limit) == 0 && limit.rlim_cur != rlim_t.max
    }
  }
}
