import Glibc

/// A system call that failed: its name, what it was about, and errno.
package struct SystemError: Error, Sendable, CustomStringConvertible {
  package let call: String
  package let subject: String
  package let errno: Int32

  package var reason: String { String(cString: strerror(errno)) }
  package var description: String { "\(subject): \(reason) (\(call), errno \(errno))" }
}

/// Runs a C call that reports failure by a negative result; repeats it when a signal interrupted it.
@discardableResult
package func systemCall<R: SignedInteger>(_ call: String, _ subject: String, _ body: () -> R) throws(SystemError) -> R {
  while true {
    let result = body()
    if result >= 0 { return result }
    let code = errno
    if code != EINTR { throw SystemError(call: call, subject: subject, errno: code) }
  }
}
