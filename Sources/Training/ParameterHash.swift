import Glibc

/// The hash of the parameters for a report, made in a thread of its own beside the next step's gradients, which only read the
/// parameters too: other ranks need not wait for it. Whoever changes the parameters waits first.
package final class ParameterHash: @unchecked Sendable {
  private let state: ModelState
  private var thread: pthread_t?
  /// Written by the thread, read after it.
  private var digest = ""

  init(_ state: ModelState) { self.state = state }

  deinit { wait() }

  /// Begins with the parameters as they are now.
  func begin() {
    wait()
    var new = pthread_t()
    let code = pthread_create(
      &new, nil,
      { argument in
        guard let argument else { return nil }
        let own = Unmanaged<ParameterHash>.fromOpaque(argument).takeUnretainedValue()
        own.digest = own.state.parameterHash
        return nil
      }, Unmanaged.passUnretained(self).toOpaque())
    // Where there can be no other thread, here and now.
    if code == 0 { thread = new } else { digest = state.parameterHash }
  }

  /// Until no hash is being made.
  func wait() {
    if let thread { pthread_join(thread, nil) }
    thread = nil
  }

  /// The hash that was begun last.
  func finish() -> String {
    wait()
    return digest
  }
}
