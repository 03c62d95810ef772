import Glibc

/// Starts a thread that nobody waits for. Signals are for the main thread, as without this one.
///
/// - Returns: 0, or the number of the system's reason why there is none.
package func startDetachedThread(_ body: sending @escaping () -> Void) -> Int32 {
  let start = Unmanaged.passRetained(ThreadBody(body))
  var thread = pthread_t()
  let code = pthread_create(
    &thread, nil,
    { argument in
      guard let argument else { return nil }
      var all = sigset_t()
      sigfillset(&all)
      pthread_sigmask(SIG_BLOCK, &all, nil)
      Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue().body()
      return nil
    }, start.toOpaque())
  if code == 0 { pthread_detach(thread) } else { start.release() }
  return code
}

private final class ThreadBody {
  let body: () -> Void

  init(_ body: @escaping () -> Void) { self.body = body }
}
